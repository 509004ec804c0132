# The MultiPoint module of Windows Server 2016 over the make-believe host: names and parameters as documented.
function Get-World { ConvertFrom-Json -InputObject ([IO.File]::ReadAllText("$env:ENGINE_WORLD/world.json")) }

function Invoke-Service([string]$Act, [uint32[]]$SessionId) {
    foreach ($id in $SessionId) {
        if ((Get-World).wms.hangs) { Start-Sleep -Seconds (Get-World).wms.hangs }
        & "$env:ENGINE_WORLD/windows/System32/wms.exe" $Act $id
        if ($LASTEXITCODE) { throw [System.Management.Automation.ItemNotFoundException]"No session with the id $id was found." }
    }
}

function Close-WmsSession {
    [CmdletBinding(SupportsShouldProcess = $true, ConfirmImpact = 'High', DefaultParameterSetName = 'CloseById')]
    param(
        [Parameter(Mandatory = $true, Position = 0, ParameterSetName = 'CloseById')][uint32[]]$SessionId,
        [Parameter(Mandatory = $true, ParameterSetName = 'CloseAll')][switch]$All
    )
    if ($PSCmdlet.ShouldProcess("$SessionId")) { Invoke-Service 'close' $SessionId }
}

function Disconnect-WmsSession {
    [CmdletBinding(SupportsShouldProcess = $true, ConfirmImpact = 'High', DefaultParameterSetName = 'DisconnectById')]
    param(
        [Parameter(Mandatory = $true, Position = 0, ParameterSetName = 'DisconnectById')][uint32[]]$SessionId,
        [Parameter(Mandatory = $true, ParameterSetName = 'DisconnectAll')][switch]$All
    )
    if ($PSCmdlet.ShouldProcess("$SessionId")) { Invoke-Service 'disconnect' $SessionId }
}

enum WmsState { RemoteConnection; ConnectedToStation }

function Get-WmsSession {
    param([Parameter(Mandatory = $true)][switch]$All)
    foreach ($row in (Get-World).wms.sessions) {
        [pscustomobject]@{
            SessionId = [uint32]$row.id; State = [WmsState]$row.state; IsAdmin = [bool]$row.admin; UserName = $row.user
            StationId = [uint32]$row.station; ComputerName = 'STATION-HOST'; ClientName = $row.client; DomainName = $row.domain
        }
    }
}

function Get-WmsStation {
    param([Parameter(Mandatory = $true)][switch]$All)
    if ((Get-World).wms.hangs) { Start-Sleep -Seconds (Get-World).wms.hangs }
    foreach ($row in (Get-World).wms.stations) {
        [pscustomobject]@{
            StationId = [uint32]$row.id; Name = $row.name; IsAutoLogOn = [bool]$row.auto_logon; AutoLogOnUserName = 'kiosk'
            AutoLogOnPassword = 'a password that must not travel'; SessionId = [uint32]$row.session_id
        }
    }
}

function Get-Mode { if ((Get-World).wms.mode) { (Get-World).wms.mode } else { 'Normal' } }

function Get-WmsSystem {
    [CmdletBinding()]
    param([Alias('ComputerName')][string]$Server)
    [pscustomobject]@{ SystemMode = Get-Mode; ComputerName = 'STATION-HOST' }
}

enum SystemOperatingModePS { Console; MultiStation }

function Set-WmsSystem {
    [CmdletBinding()]
    param([SystemOperatingModePS]$Mode)
    if ((Get-World).wms.hangs) { Start-Sleep -Seconds (Get-World).wms.hangs }
    & "$env:ENGINE_WORLD/windows/System32/wms.exe" mode $Mode
    if ($LASTEXITCODE) { throw 'The MultiPoint service reported an error.' }
}

function Get-WmsDiskProtection {
    [CmdletBinding()]
    param([Alias('ComputerName')][string]$Server)
    $word = (Get-World).wms.protection
    if ($word) { $word } else { 'NotInstalled' }
}

Export-ModuleMember -Function *-Wms*
