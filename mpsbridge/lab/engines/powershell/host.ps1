# What Windows has and PowerShell elsewhere lacks, over one make-believe host: processes, CIM, registry, services, and
# the classes that tell who the caller is. Run once in each session, before the client's own scripts. Only what
# mpsbridge's scripts use is here, and it fails as Windows fails; nothing of it is evidence about Windows.
$env:SystemRoot = [IO.Path]::Combine($env:MPSBRIDGE_LAB_FOLDER, 'windows')
$env:ProgramW6432 = [IO.Path]::Combine($env:MPSBRIDGE_LAB_FOLDER, 'programs')
$env:PSModulePath = [IO.Path]::Combine($env:MPSBRIDGE_LAB_FOLDER, 'modules') + [IO.Path]::PathSeparator + $env:PSModulePath

function global:Get-LabTime($Text) {
    if (-not $Text) { return $null }
    $time = [datetime]::ParseExact($Text.Substring(0, 21), 'yyyyMMddHHmmss.ffffff', [Globalization.CultureInfo]::InvariantCulture)
    [datetime]::SpecifyKind($time, 'Utc').ToLocalTime()
}

$env:COMPUTERNAME = (Get-LabFacts).computer

function global:Get-Process {
    [CmdletBinding()]
    param([string[]]$Name, [int]$Id)
    $facts = Get-LabFacts
    if ($Id) { return [pscustomobject]@{ Id = $Id; ProcessName = 'wsmprovhost'; SessionId = [int]$facts.caller.session_id } }
    $found = @($facts.processes | Where-Object { -not $Name -or $Name -contains $_.name })
    if ($Name -and -not $found) { Write-Error "There is no process of the name $Name." -Category ObjectNotFound; return }
    foreach ($process in $found) {
        $started = $null
        if ($facts.caller.elevated) { $started = Get-LabTime $process.born }
        [pscustomobject]@{ ProcessName = $process.name; SessionId = [int]$process.session; StartTime = $started }
    }
}

function global:Get-CimInstance {
    [CmdletBinding()]
    param([string]$Namespace = 'root/cimv2', [string]$ClassName, [string]$Filter, [int]$OperationTimeoutSec)
    $facts = Get-LabFacts
    if ($ClassName -ne 'Win32_Process') {
        $instance = $facts.cim.$ClassName
        if ($null -eq $instance) { Write-Error "There is no class $ClassName." -Category ObjectNotFound; return }
        return $instance
    }
    $names = @([regex]::Matches($Filter, "Name = '([^']+)'") | ForEach-Object { $_.Groups[1].Value })
    $session = [regex]::Match($Filter, 'SessionId = (\d+)').Groups[1].Value
    foreach ($process in $facts.processes) {
        if ($names -contains "$($process.name).exe" -or ($session -and "$($process.session)" -eq $session)) {
            $created = $null
            if ($facts.caller.elevated) { $created = Get-LabTime $process.born }
            [pscustomobject]@{ Name = "$($process.name).exe"; SessionId = [uint32]$process.session; CreationDate = $created; LabOwner = $process }
        }
    }
}

function global:Invoke-CimMethod {
    [CmdletBinding()]
    param($InputObject, [string]$MethodName)
    $owner = $InputObject.LabOwner
    if (-not (Get-LabFacts).caller.elevated) { return [pscustomobject]@{ ReturnValue = 2 } }
    if ($MethodName -eq 'GetOwnerSid') { return [pscustomobject]@{ Sid = $owner.sid; ReturnValue = 0 } }
    [pscustomobject]@{ User = $owner.user; Domain = $owner.domain; ReturnValue = 0 }
}

function global:Get-ItemProperty {
    [CmdletBinding()]
    param([string]$LiteralPath)
    $key = (Get-LabFacts).registry.$LiteralPath
    if ($null -eq $key) { Write-Error "There is no key $LiteralPath." -Category ObjectNotFound; return }
    $key
}

function global:Test-Path {
    [CmdletBinding()]
    param([string]$LiteralPath)
    $null -ne (Get-LabFacts).registry.$LiteralPath
}

function global:Get-Service {
    [CmdletBinding()]
    param([string[]]$Name)
    foreach ($service in (Get-LabFacts).services) { if ($Name -contains $service) { [pscustomobject]@{ Name = $service } } }
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
    static [LabIdentity] GetCurrent() {
        $caller = (Get-LabFacts).caller
        $identity = [LabIdentity]::new()
        $identity.Name = $caller.account
        $identity.User = [LabSid]::new($caller.sid)
        return $identity
    }
}

class LabPrincipal {
    LabPrincipal([LabIdentity]$Identity) { }
    [bool] IsInRole([LabSid]$Sid) { return (Get-LabFacts).caller.elevated -and $Sid.Value -eq 'S-1-5-32-544' }
}

# The directory of accounts: a group whose members are asked by name, as COM objects are.
class LabGroup {
    LabGroup([string]$Path) { }
    [object] Invoke([string]$Method) {
        return @((Get-LabFacts).admins | ForEach-Object {
                $kind = [pscustomobject]@{ Sid = $_ } | Add-Member -PassThru -MemberType ScriptMethod -Name InvokeMember -Value { [Text.Encoding]::ASCII.GetBytes($this.Sid) }
                [pscustomobject]@{ Kind = $kind } | Add-Member -PassThru -Force -MemberType ScriptMethod -Name GetType -Value { $this.Kind }
            })
    }
}

$accelerators = [psobject].Assembly.GetType('System.Management.Automation.TypeAccelerators')
$classes = @{
    'Security.Principal.WindowsIdentity'           = [LabIdentity]
    'Security.Principal.WindowsPrincipal'          = [LabPrincipal]
    'Security.Principal.SecurityIdentifier'        = [LabSid]
    'System.Security.Principal.SecurityIdentifier' = [LabSid]
    'ADSI'                                         = [LabGroup]
}
foreach ($name in $classes.Keys) {
    [void]$accelerators::Remove($name)
    $accelerators::Add($name, $classes[$name])
}
