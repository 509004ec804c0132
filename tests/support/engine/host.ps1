# What Windows has and the engine on Linux lacks, over one make-believe host in a JSON file: processes, CIM, registry,
# services, and the classes that tell who the caller is. Only what templates use, and failing as Windows fails.
param([string]$Folder)

$global:EngineFolder = $Folder
$env:ENGINE_WORLD = $Folder
$env:SystemRoot = [IO.Path]::Combine($Folder, 'windows')
$env:ProgramFiles = $env:ProgramW6432 = [IO.Path]::Combine($Folder, 'programs')
$env:COMPUTERNAME = 'STATION-HOST'
$env:PSModulePath = [IO.Path]::Combine($Folder, 'modules') + [IO.Path]::PathSeparator + $env:PSModulePath

function global:Get-EngineWorld {
    ConvertFrom-Json -InputObject ([IO.File]::ReadAllText([IO.Path]::Combine($global:EngineFolder, 'world.json')))
}

function global:Get-EngineTime($Text) {
    if (-not $Text) { return $null }
    $time = [datetime]::ParseExact($Text.Substring(0, 21), 'yyyyMMddHHmmss.ffffff', [Globalization.CultureInfo]::InvariantCulture)
    [datetime]::SpecifyKind($time, 'Utc').ToLocalTime()
}

function global:Get-Process {
    [CmdletBinding()]
    param([string[]]$Name, [int]$Id, [switch]$IncludeUserName)
    $world = Get-EngineWorld
    if ($IncludeUserName -and -not $world.caller.elevated) {
        $refusal = [InvalidOperationException]::new("The 'IncludeUserName' parameter requires elevated user rights.")
        $PSCmdlet.ThrowTerminatingError(
            [Management.Automation.ErrorRecord]::new($refusal, 'IncludeUserNameRequiresElevation', 'InvalidOperation', $null))
    }
    if ($Id) {
        return [pscustomobject]@{
            Id = $Id; ProcessName = 'wsmprovhost'; SessionId = [int]$world.caller.session_id; UserName = $world.caller.account
        }
    }
    if ($world.processes_fail) { Write-Error 'Access is denied.' -Category PermissionDenied; return }
    $found = @($world.processes | Where-Object { -not $Name -or $Name -contains $_.name })
    if ($Name -and -not $found) { Write-Error "Cannot find a process with the name ""$Name""." -Category ObjectNotFound; return }
    foreach ($process in $found) {
        $started = $null
        if ($world.caller.elevated -and -not $process.unreadable -and -not $process.sealed) { $started = Get-EngineTime $process.born }
        [pscustomobject]@{ ProcessName = $process.name; SessionId = [int]$process.session; StartTime = $started }
    }
}

function global:Get-CimInstance {
    [CmdletBinding()]
    param([string]$Namespace = 'root/cimv2', [string]$ClassName, [string]$Filter, [int]$OperationTimeoutSec)
    $world = Get-EngineWorld
    if ($ClassName -eq 'Win32_Process') {
        $names = @([regex]::Matches($Filter, "Name = '([^']+)'") | ForEach-Object { $_.Groups[1].Value })
        $session = [regex]::Match($Filter, 'SessionId = (\d+)').Groups[1].Value
        foreach ($process in $world.processes) {
            if ($names -contains "$($process.name).exe" -or ($session -and "$($process.session)" -eq $session)) {
                $created = $null
                if ($world.caller.elevated -and -not $process.unreadable) { $created = Get-EngineTime $process.born }
                [pscustomobject]@{ Name = "$($process.name).exe"; SessionId = [uint32]$process.session; CreationDate = $created; EngineOwner = $process }
            }
        }
        return
    }
    $instance = $world.cim.$ClassName
    if ($null -eq $instance) { Write-Error 'Access denied' -Category PermissionDenied; return }
    $instance
}

function global:Invoke-CimMethod {
    [CmdletBinding()]
    param($InputObject, [string]$MethodName)
    $owner = $InputObject.EngineOwner
    if (-not (Get-EngineWorld).caller.elevated) { return [pscustomobject]@{ ReturnValue = 2 } }
    if ($MethodName -eq 'GetOwnerSid') { return [pscustomobject]@{ Sid = $owner.sid; ReturnValue = 0 } }
    [pscustomobject]@{ User = $owner.user; Domain = $owner.domain; ReturnValue = 0 }
}

function global:Get-ItemProperty {
    [CmdletBinding()]
    param([string]$LiteralPath)
    $key = (Get-EngineWorld).registry.$LiteralPath
    if ($null -eq $key) { Write-Error "Cannot find path '$LiteralPath' because it does not exist." -Category ObjectNotFound; return }
    $key
}

function global:Test-Path {
    [CmdletBinding()]
    param([string]$LiteralPath)
    $null -ne (Get-EngineWorld).registry.$LiteralPath
}

function global:Get-Service {
    [CmdletBinding()]
    param([string[]]$Name)
    $world = Get-EngineWorld
    foreach ($service in @('TermService') + $world.services) {
        if ($Name -notcontains $service) { continue }
        $status = 'Running'
        if ($world.stopped -contains $service) { $status = 'Stopped' }
        [pscustomobject]@{ Name = $service; Status = $status }
    }
}

# Scheduled tasks: one XML in a file for each, and Windows' errors for what is not there.
function global:Get-EngineTask([string]$TaskPath, [string]$TaskName) {
    [IO.Path]::Combine($global:EngineFolder, "task$("$TaskPath$TaskName".Replace('\', '-')).xml")
}

function global:Register-ScheduledTask {
    [CmdletBinding()]
    param([string]$TaskName, [string]$TaskPath, [string]$Xml, [switch]$Force)
    $file = Get-EngineTask $TaskPath $TaskName
    if ((Get-EngineWorld).tasks -eq 'denied') { Write-Error 'Access is denied.' -Category PermissionDenied; return }
    if ([IO.File]::Exists($file) -and -not $Force) { Write-Error 'The task exists.' -Category ResourceExists; return }
    if ((Get-EngineWorld).tasks -ne 'lost') { [IO.File]::WriteAllText($file, $Xml) }
}

function global:Get-ScheduledTask {
    [CmdletBinding()]
    param([string]$TaskName, [string]$TaskPath)
    $file = Get-EngineTask $TaskPath $TaskName
    if ((Get-EngineWorld).tasks -eq 'unreadable') { Write-Error 'Access is denied.' -Category PermissionDenied; return }
    if (-not [IO.File]::Exists($file)) { Write-Error "No MSFT_ScheduledTask objects found for $TaskName." -Category ObjectNotFound; return }
    $exec = ([xml][IO.File]::ReadAllText($file)).Task.Actions.Exec
    $state = 'Ready'
    if ((Get-EngineWorld).tasks -eq 'disabled') { $state = 'Disabled' }
    [pscustomobject]@{ State = $state; Actions = @([pscustomobject]@{ Execute = $exec.Command; Arguments = $exec.Arguments }) }
}

function global:Get-ScheduledTaskInfo {
    [CmdletBinding()]
    param([string]$TaskName, [string]$TaskPath)
    $start = ([xml][IO.File]::ReadAllText((Get-EngineTask $TaskPath $TaskName))).Task.Triggers.TimeTrigger.StartBoundary
    [pscustomobject]@{ NextRunTime = [datetime]::Parse($start, [Globalization.CultureInfo]::InvariantCulture) }
}

function global:Unregister-ScheduledTask {
    [CmdletBinding(SupportsShouldProcess = $true, ConfirmImpact = 'High')]
    param([string]$TaskName, [string]$TaskPath)
    if ($PSCmdlet.ShouldProcess($TaskName)) { [IO.File]::Delete((Get-EngineTask $TaskPath $TaskName)) }
}

# Access lists, where the host knows any: in the world by path, as SDDL would say it, or the parent's.
if ((Get-EngineWorld).access) {
    function global:Get-Acl {
        [CmdletBinding()]
        param([string]$LiteralPath)
        $access = (Get-EngineWorld).access
        $set = [IO.Path]::Combine($global:EngineFolder, 'sddl.txt')
        if ([IO.File]::Exists($set)) { $access = ConvertFrom-Json -InputObject '{"owner": "S-1-5-32-544", "rules": []}' }
        $acl = [pscustomobject]@{ Owner = $access.owner; Rules = $access.rules; Sddl = '' }
        $acl | Add-Member -MemberType ScriptMethod -Name SetSecurityDescriptorSddlForm -Value { param($Sddl) $this.Sddl = $Sddl }
        $acl | Add-Member -MemberType ScriptMethod -Name GetOwner -Value { [pscustomobject]@{ Value = $this.Owner } }
        $acl | Add-Member -PassThru -MemberType ScriptMethod -Name GetAccessRules -Value {
            foreach ($rule in $this.Rules) {
                [pscustomobject]@{
                    AccessControlType = $rule.type; FileSystemRights = [int]$rule.rights
                    IdentityReference = [pscustomobject]@{ Value = $rule.sid }
                }
            }
        }
    }

    function global:Set-Acl {
        [CmdletBinding()]
        param([string]$LiteralPath, $AclObject)
        [IO.File]::WriteAllText([IO.Path]::Combine($global:EngineFolder, 'sddl.txt'), $AclObject.Sddl)
    }
}

class EngineSid {
    [string]$Value
    EngineSid([string]$Text) { $this.Value = $Text }
    EngineSid([byte[]]$Bytes, [int]$Offset) { $this.Value = [Text.Encoding]::ASCII.GetString($Bytes) }
    [string] ToString() { return $this.Value }
    [object] Translate([type]$Type) { return [pscustomobject]@{ Value = 'VORDEFINIERT\Administratoren' } }
}

class EngineIdentity {
    [string]$Name
    [EngineSid]$User
    static [EngineIdentity] GetCurrent() {
        $caller = (Get-EngineWorld).caller
        $identity = [EngineIdentity]::new()
        $identity.Name = $caller.account
        $identity.User = [EngineSid]::new($caller.sid)
        return $identity
    }
}

class EnginePrincipal {
    EnginePrincipal([EngineIdentity]$Identity) { }
    [bool] IsInRole([EngineSid]$Sid) { return (Get-EngineWorld).caller.elevated -and $Sid.Value -eq 'S-1-5-32-544' }
}

# The directory of accounts: a group whose members are objects of another kind, asked by name as COM objects are.
class EngineGroup {
    EngineGroup([string]$Path) { }
    [object] Invoke([string]$Method) {
        return @((Get-EngineWorld).admins | ForEach-Object {
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

class EngineEventLog {
    static [void] WriteEntry([string]$Source, [string]$Message, [string]$Type, [int]$Id) {
        if ((Get-EngineWorld).events_fail) { throw 'The source was not found, but some or all event logs could not be searched.' }
        [IO.File]::AppendAllText([IO.Path]::Combine($global:EngineFolder, 'events.txt'), "$Source $Type ${Id}: $Message`n")
    }
}

# Registered anew for each runspace, because a class belongs to the runspace that defined it.
$accelerators = [psobject].Assembly.GetType('System.Management.Automation.TypeAccelerators')
$classes = @{
    'Security.Principal.WindowsIdentity'           = [EngineIdentity]
    'Security.Principal.WindowsPrincipal'          = [EnginePrincipal]
    'Security.Principal.SecurityIdentifier'        = [EngineSid]
    'System.Security.Principal.SecurityIdentifier' = [EngineSid]
    'ADSI'                                         = [EngineGroup]
    'Diagnostics.EventLog'                         = [EngineEventLog]
}
foreach ($name in $classes.Keys) {
    [void]$accelerators::Remove($name)
    $accelerators::Add($name, $classes[$name])
}
