# The MultiPoint cmdlets of either generation over a make-believe host, with names and parameters as documented; which
# one is there says MPSBRIDGE_LAB_GENERATION. Only what mpsbridge's scripts use.
function Invoke-LabService([string]$Act, $SessionId) {
    foreach ($id in $SessionId) {
        & ([IO.Path]::Combine($env:SystemRoot, 'System32', 'wms.exe')) $Act $id
        if ($LASTEXITCODE) { throw "The MultiPoint service knows no session $id." }
    }
}

# A row as its cmdlet gives it: the key of a session is Id in 2012, and "no session" is the largest number of 32 bits.
function ConvertTo-LabSession($Row, [string]$Key) {
    $session = [pscustomobject]@{
        State = $Row.state; IsAdmin = [bool]$Row.admin; UserName = $Row.user; StationId = [uint32]$Row.station
        ClientName = $Row.client; DomainName = $Row.domain
    }
    $session | Add-Member -PassThru -MemberType NoteProperty -Name $Key -Value ([uint32]$Row.id)
}

function ConvertTo-LabStation($Row, [string]$Key) {
    $session = [uint32]4294967295
    if ($null -ne $Row.session_id) { $session = [uint32]$Row.session_id }
    $station = [pscustomobject]@{ Name = $Row.name; IsAutoLogOn = [bool]$Row.auto_logon; AutoLogOnPassword = 'secret'; SessionId = $session }
    $station | Add-Member -PassThru -MemberType NoteProperty -Name $Key -Value ([uint32]$Row.id)
}

if ($env:MPSBRIDGE_LAB_GENERATION -eq '2016') {
    function Close-WmsSession {
        [CmdletBinding(SupportsShouldProcess = $true, ConfirmImpact = 'High', DefaultParameterSetName = 'CloseById')]
        param(
            [Parameter(Mandatory = $true, Position = 0, ParameterSetName = 'CloseById')][uint32[]]$SessionId,
            [Parameter(Mandatory = $true, ParameterSetName = 'CloseAll')][switch]$All
        )
        if ($PSCmdlet.ShouldProcess("$SessionId")) { Invoke-LabService 'close' $SessionId }
    }
    function Disconnect-WmsSession {
        [CmdletBinding(SupportsShouldProcess = $true, ConfirmImpact = 'High', DefaultParameterSetName = 'DisconnectById')]
        param(
            [Parameter(Mandatory = $true, Position = 0, ParameterSetName = 'DisconnectById')][uint32[]]$SessionId,
            [Parameter(Mandatory = $true, ParameterSetName = 'DisconnectAll')][switch]$All
        )
        if ($PSCmdlet.ShouldProcess("$SessionId")) { Invoke-LabService 'disconnect' $SessionId }
    }
    function Get-WmsSession {
        param([Parameter(Mandatory = $true)][switch]$All)
        foreach ($row in (Get-LabFacts).wms.sessions) { ConvertTo-LabSession $row 'SessionId' }
    }
    function Get-WmsStation {
        param([Parameter(Mandatory = $true)][switch]$All)
        foreach ($row in (Get-LabFacts).wms.stations) { ConvertTo-LabStation $row 'StationId' }
    }
    function Get-WmsSystem { [pscustomobject]@{ SystemMode = (Get-LabFacts).wms.mode } }
} else {
    function Close-WmsSession {
        [CmdletBinding(SupportsShouldProcess = $true, ConfirmImpact = 'High')]
        param([Parameter(Mandatory = $true)][int]$SessionId, [int]$TimeoutInSecond)
        if ($PSCmdlet.ShouldProcess("$SessionId")) { Invoke-LabService 'close' $SessionId }
    }
    function Disconnect-WmsSession {
        [CmdletBinding(SupportsShouldProcess = $true, ConfirmImpact = 'High')]
        param([Parameter(Mandatory = $true)][int]$SessionId, [int]$TimeoutInSecond)
        if ($PSCmdlet.ShouldProcess("$SessionId")) { Invoke-LabService 'disconnect' $SessionId }
    }
    function Get-WmsSession {
        param([switch]$SerializeString, [uint32]$Id, [int]$TimeoutInSecond)
        foreach ($row in (Get-LabFacts).wms.sessions) { ConvertTo-LabSession $row 'Id' }
    }
    function Get-WmsStation {
        param([switch]$SerializeString, [uint32]$Id, [int]$TimeoutInSecond)
        foreach ($row in (Get-LabFacts).wms.stations) { ConvertTo-LabStation $row 'Id' }
    }
    function Get-WmsSystem {
        param([switch]$SystemMode, [int]$TimeoutInSecond)
        if ($SystemMode) { (Get-LabFacts).wms.mode }
    }
}
