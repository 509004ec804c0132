# The MultiPoint module of 2012 over the make-believe host: no -All, one id a call, and the id of a row is Id.
function Get-World { ConvertFrom-Json -InputObject ([IO.File]::ReadAllText("$env:ENGINE_WORLD/world.json")) }

function Invoke-Service([string]$Act, [int]$SessionId) {
    & "$env:ENGINE_WORLD/windows/System32/wms.exe" $Act $SessionId
    if ($LASTEXITCODE) { throw 'The MultiPoint service reported an error.' }
}

function Close-WmsSession {
    [CmdletBinding(SupportsShouldProcess = $true, ConfirmImpact = 'High')]
    param([Parameter(Mandatory = $true)][int]$SessionId, [int]$TimeoutInSecond)
    if ($PSCmdlet.ShouldProcess("$SessionId")) { Invoke-Service 'close' $SessionId }
}

function Disconnect-WmsSession {
    [CmdletBinding(SupportsShouldProcess = $true, ConfirmImpact = 'High')]
    param([Parameter(Mandatory = $true)][int]$SessionId, [int]$TimeoutInSecond)
    if ($PSCmdlet.ShouldProcess("$SessionId")) { Invoke-Service 'disconnect' $SessionId }
}

function Get-WmsSession {
    param([switch]$SerializeString, [uint32]$Id, [int]$TimeoutInSecond)
    foreach ($row in (Get-World).wms.sessions) {
        [pscustomobject]@{
            Id = [uint32]$row.id; State = $row.state; IsAdmin = [bool]$row.admin; UserName = $row.user
            StationId = [uint32]$row.station; ClientName = $row.client; DomainName = $row.domain
        }
    }
}

function Get-WmsStation {
    param([switch]$SerializeString, [uint32]$Id, [int]$TimeoutInSecond)
    foreach ($row in (Get-World).wms.stations) {
        [pscustomobject]@{
            Id = [uint32]$row.id; Name = $row.name; IsAutoLogOn = [bool]$row.auto_logon
            AutoLogOnPassword = 'a password that must not travel'; SessionId = [uint32]$row.session_id
        }
    }
}

function Get-Mode { if ((Get-World).wms.mode) { (Get-World).wms.mode } else { 'Normal' } }

function Switch-WmsSystem {
    [CmdletBinding(SupportsShouldProcess = $true, ConfirmImpact = 'High')]
    param([int]$TimeoutInSecond)
    $other = 'Console'
    if ((Get-Mode) -ne 'Normal') { $other = 'MultiStation' }
    if (-not $PSCmdlet.ShouldProcess('the mode')) { return }
    & "$env:ENGINE_WORLD/windows/System32/wms.exe" mode $other
    if ($LASTEXITCODE) { throw 'The MultiPoint service reported an error.' }
}

function Get-WmsSystem {
    param([switch]$SystemMode, [int]$TimeoutInSecond)
    if ($SystemMode) { Get-Mode }
}

Export-ModuleMember -Function *-Wms*
