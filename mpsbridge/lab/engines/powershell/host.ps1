# What Windows has and PowerShell elsewhere lacks, over one make-believe host: processes, CIM, registry, services, and
# the classes that tell who the caller is. Run once in each session, before the client's own scripts. Only what
# mpsbridge's scripts use is here, and it fails as Windows fails; nothing of it is evidence about Windows.
function global:Enter-LabHost {
    $place = Get-LabFact 'place'
    $env:SystemRoot = $place.windows
    $env:ProgramW6432 = $env:ProgramFiles = $place.programs
    $env:COMPUTERNAME = $place.computer
    if (-not $env:MPSBRIDGE_LAB_MODULES) { $env:MPSBRIDGE_LAB_MODULES = $env:PSModulePath }
    $env:PSModulePath = $place.modules + [IO.Path]::PathSeparator + $env:MPSBRIDGE_LAB_MODULES
    $env:TZ = $place.zone
    [TimeZoneInfo]::ClearCachedData()
    [Globalization.CultureInfo]::DefaultThreadCurrentCulture = $place.culture
    [Globalization.CultureInfo]::DefaultThreadCurrentUICulture = $place.culture
}
Enter-LabHost

# Who is at the other end of a remote session: what is served over pipes is told no name.
if ($PSSenderInfo) {
    & {
        $identity = New-Object System.Management.Automation.Remoting.PSIdentity 'NTLM', $true, (Get-LabFact 'caller').account, $null
        $principal = New-Object System.Management.Automation.Remoting.PSPrincipal $identity, $null
        $name = [Management.Automation.Remoting.PSSenderInfo].GetField('<UserInfo>k__BackingField', 'NonPublic, Instance')
        if ($name) { $name.SetValue($PSSenderInfo, $principal) }
    }
}

function global:ConvertFrom-LabTime($Text) {
    if (-not $Text) { return $null }
    $time = [datetime]::ParseExact($Text.Substring(0, 21), 'yyyyMMddHHmmss.ffffff', [Globalization.CultureInfo]::InvariantCulture)
    [datetime]::SpecifyKind($time, 'Utc').ToLocalTime()
}

# The host's own clock: the machine's, moved by as much as they differ.
function global:Get-Date {
    [CmdletBinding()]
    param([Parameter(Position = 0)][datetime]$Date = [datetime]::Now)
    $Date.AddSeconds((Get-LabFact 'clock'))
}

function global:Get-Process {
    [CmdletBinding(DefaultParameterSetName = 'Name')]
    param(
        [Parameter(Position = 0, ParameterSetName = 'Name')][string[]]$Name,
        [Parameter(Mandatory = $true, ParameterSetName = 'Id')][int]$Id,
        [switch]$IncludeUserName
    )
    if ($PSCmdlet.ParameterSetName -eq 'Id' -or $IncludeUserName) { $caller = Get-LabFact 'caller' }
    if ($IncludeUserName -and -not $caller.elevated) {
        $refusal = New-Object System.InvalidOperationException "The 'IncludeUserName' parameter requires elevated user rights."
        $PSCmdlet.ThrowTerminatingError(
            (New-Object System.Management.Automation.ErrorRecord $refusal, 'IncludeUserNameRequiresElevation', 'InvalidOperation', $null))
    }
    if ($PSCmdlet.ParameterSetName -eq 'Id') {
        return [pscustomobject]@{
            Id = $Id; ProcessName = 'wsmprovhost'; SessionId = [int]$caller.session_id; UserName = $caller.account
        }
    }
    try { $all = @(Get-LabFact 'processes') } catch { Write-Error "$_" -Category PermissionDenied; return }
    $found = @($all | Where-Object { -not $Name -or $Name -contains $_.name })
    if ($Name -and -not $found) { Write-Error "Cannot find a process with the name ""$Name""." -Category ObjectNotFound; return }
    foreach ($process in $found) {
        $started = $null
        if (-not $process.sealed) { $started = ConvertFrom-LabTime $process.born }
        [pscustomobject]@{ ProcessName = $process.name; SessionId = [int]$process.session; StartTime = $started }
    }
}

function global:Get-CimInstance {
    [CmdletBinding()]
    param([string]$Namespace = 'root/cimv2', [Parameter(Mandatory = $true)][string]$ClassName, [string]$Filter, [uint32]$OperationTimeoutSec)
    if ($ClassName -ne 'Win32_Process') {
        try { $instance = Get-LabFact 'cim' $ClassName } catch { Write-Error "$_" -Category PermissionDenied; return }
        if ($null -eq $instance) { Write-Error "Invalid class $ClassName" -Category MetadataError; return }
        return $instance
    }
    $names = @([regex]::Matches($Filter, "Name = '([^']+)'") | ForEach-Object { $_.Groups[1].Value })
    $session = [regex]::Match($Filter, 'SessionId = (\d+)').Groups[1].Value
    try { $all = @(Get-LabFact 'processes') } catch { Write-Error "$_" -Category PermissionDenied; return }
    foreach ($process in $all) {
        if ($names -contains "$($process.name).exe" -or ($session -and "$($process.session)" -eq $session)) {
            [pscustomobject]@{
                Name = "$($process.name).exe"; SessionId = [uint32]$process.session
                CreationDate = (ConvertFrom-LabTime $process.born); LabOwner = $process
            }
        }
    }
}

function global:Invoke-CimMethod {
    [CmdletBinding()]
    param([Parameter(Mandatory = $true)]$InputObject, [Parameter(Mandatory = $true)][string]$MethodName)
    $owner = $InputObject.LabOwner
    if (-not $owner.sid) { return [pscustomobject]@{ ReturnValue = [uint32]2 } }
    if ($MethodName -eq 'GetOwnerSid') { return [pscustomobject]@{ Sid = $owner.sid; ReturnValue = [uint32]0 } }
    [pscustomobject]@{ User = $owner.user; Domain = $owner.domain; ReturnValue = [uint32]0 }
}

function global:Get-ItemProperty {
    [CmdletBinding()]
    param([Parameter(Mandatory = $true)][string]$LiteralPath)
    $key = Get-LabFact 'key' $LiteralPath
    if ($null -eq $key) { Write-Error "Cannot find path '$LiteralPath' because it does not exist." -Category ObjectNotFound; return }
    $key
}

function global:Test-Path {
    [CmdletBinding()]
    param([Parameter(Mandatory = $true)][string]$LiteralPath)
    $null -ne (Get-LabFact 'key' $LiteralPath)
}

function global:Get-Service {
    [CmdletBinding()]
    param([string[]]$Name)
    foreach ($service in Get-LabFact 'services') { if ($Name -contains $service.Name) { $service } }
}

# The task scheduler. A task is known by its folder and its name together; what is wrong with an XML is an argument's fault.
function global:Register-ScheduledTask {
    [CmdletBinding()]
    param([Parameter(Mandatory = $true)][string]$TaskName, [string]$TaskPath = '\', [Parameter(Mandatory = $true)][string]$Xml, [switch]$Force)
    $category = 'InvalidArgument'
    try {
        if (-not $Force -and (Get-LabFact 'task' "$TaskPath$TaskName")) {
            $category = 'ResourceExists'
            throw 'Cannot create a file when that file already exists.'
        }
        [void](Get-LabFact 'register-task' "$TaskPath$TaskName`n$Xml")
    } catch {
        if ($_.Exception -is [UnauthorizedAccessException]) { $category = 'PermissionDenied' }
        Write-Error "$_" -Category $category
    }
}

function global:Get-ScheduledTask {
    [CmdletBinding()]
    param([Parameter(Mandatory = $true)][string]$TaskName, [string]$TaskPath = '\')
    try { $task = Get-LabFact 'task' "$TaskPath$TaskName" } catch { Write-Error "$_" -Category PermissionDenied; return }
    if ($null -eq $task) { Write-Error "There is no task $TaskPath$TaskName." -Category ObjectNotFound; return }
    [pscustomobject]@{ State = $task.state; Actions = @([pscustomobject]@{ Execute = $task.command; Arguments = $task.arguments }) }
}

function global:Get-ScheduledTaskInfo {
    [CmdletBinding()]
    param([Parameter(Mandatory = $true)][string]$TaskName, [string]$TaskPath = '\')
    $task = Get-LabFact 'task' "$TaskPath$TaskName"
    [pscustomobject]@{
        LastRunTime    = ConvertFrom-LabTime $task.last
        LastTaskResult = [uint32]$task.result
        NextRunTime    = ConvertFrom-LabTime $task.next
    }
}

function global:Start-ScheduledTask {
    [CmdletBinding()]
    param([Parameter(Mandatory = $true)][string]$TaskName, [string]$TaskPath = '\')
    [void](Get-LabFact 'start-task' "$TaskPath$TaskName")
}

function global:Unregister-ScheduledTask {
    [CmdletBinding(SupportsShouldProcess = $true, ConfirmImpact = 'High')]
    param([Parameter(Mandatory = $true)][string]$TaskName, [string]$TaskPath = '\')
    if ($PSCmdlet.ShouldProcess($TaskName)) { [void](Get-LabFact 'unregister-task' "$TaskPath$TaskName") }
}

# A folder as Windows keeps its programs in: owned by administrators, who alone may write there, unless the world says
# otherwise. Of a descriptor that is set nothing is read: it stands for one that lets nobody else write.
function global:Get-Acl {
    [CmdletBinding()]
    param([Parameter(Mandatory = $true)][string]$LiteralPath)
    $access = Get-LabFact 'access' $LiteralPath
    [pscustomobject]@{ Owner = $access.owner; Rules = $access.rules; Sddl = '' } |
        Add-Member -PassThru -MemberType ScriptMethod -Name GetOwner -Value { [pscustomobject]@{ Value = $this.Owner } } |
        Add-Member -PassThru -MemberType ScriptMethod -Name GetAccessRules -Value {
            foreach ($rule in $this.Rules) {
                [pscustomobject]@{
                    IdentityReference = [pscustomobject]@{ Value = $rule.sid }
                    FileSystemRights = [int]$rule.rights; AccessControlType = ('Allow', 'Deny')[[int]$rule.deny]
                }
            }
        } |
        Add-Member -PassThru -MemberType ScriptMethod -Name SetSecurityDescriptorSddlForm -Value { param($Sddl) $this.Sddl = $Sddl }
}

function global:Set-Acl {
    [CmdletBinding()]
    param([Parameter(Mandatory = $true)][string]$LiteralPath, [Parameter(Mandatory = $true)]$AclObject)
    [void](Get-LabFact 'protect' "$LiteralPath`n$($AclObject.Sddl)")
}

class LabSid {
    [string]$Value
    LabSid([string]$Text) { $this.Value = $Text }
    LabSid([byte[]]$Bytes, [int]$Offset) { $this.Value = [Text.Encoding]::ASCII.GetString($Bytes) }
    [string] ToString() { return $this.Value }
    [object] Translate([type]$Type) { return [pscustomobject]@{ Value = 'BUILTIN\Administrators' } }
}

class LabIdentity {
    [string]$Name
    [LabSid]$User
    [bool]$Elevated
    static [LabIdentity] GetCurrent() {
        $caller = Get-LabFact 'caller'
        $identity = [LabIdentity]::new()
        $identity.Name = $caller.account
        $identity.User = [LabSid]::new($caller.sid)
        $identity.Elevated = $caller.elevated
        return $identity
    }
}

class LabPrincipal {
    [LabIdentity]$Identity
    LabPrincipal([LabIdentity]$Identity) { $this.Identity = $Identity }
    [bool] IsInRole([LabSid]$Sid) { return $this.Identity.Elevated -and $Sid.Value -eq 'S-1-5-32-544' }
}

# The directory of accounts: a group whose members are objects of another kind, asked by name as COM objects are.
class LabGroup {
    LabGroup([string]$Path) { }
    [object] Invoke([string]$Method) {
        return @(Get-LabFact 'administrators' | ForEach-Object {
                $kind = [pscustomobject]@{ Member = $_ } | Add-Member -PassThru -MemberType ScriptMethod -Name InvokeMember -Value {
                    param($Name)
                    $value = $this.Member.$Name
                    if ($null -eq $value) { throw 'The directory property cannot be found in the cache.' }
                    if ($Name -eq 'objectSid') { [Text.Encoding]::ASCII.GetBytes($value) } else { $value }
                }
                [pscustomobject]@{ Kind = $kind } | Add-Member -PassThru -Force -MemberType ScriptMethod -Name GetType -Value { $this.Kind }
            })
    }
}

class LabEventLog {
    static [void] WriteEntry([string]$Source, [string]$Message, [string]$Type, [int]$Id) {
        [void](Get-LabFact 'event' "$Source $Type ${Id}: $Message")
    }
}

# Registered again in each session, because a class belongs to the runspace that defined it.
function global:Register-LabClass {
    $accelerators = [psobject].Assembly.GetType('System.Management.Automation.TypeAccelerators')
    $classes = @{
        'Security.Principal.WindowsIdentity'           = [LabIdentity]
        'Security.Principal.WindowsPrincipal'          = [LabPrincipal]
        'Security.Principal.SecurityIdentifier'        = [LabSid]
        'System.Security.Principal.SecurityIdentifier' = [LabSid]
        'ADSI'                                         = [LabGroup]
        'Diagnostics.EventLog'                         = [LabEventLog]
    }
    foreach ($name in $classes.Keys) {
        [void]$accelerators::Remove($name)
        $accelerators::Add($name, $classes[$name])
    }
}
Register-LabClass
