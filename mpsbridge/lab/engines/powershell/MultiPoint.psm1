# What the MultiPoint cmdlets do: those that are played act on the make-believe host, the others say that they are not.
# The functions themselves, with their parameters, are written below this text from what is documented of them.
enum WmsSessionState { RemoteConnection; ConnectedToStation }

function Invoke-LabCmdlet([string]$Name, [string]$Generation, $Given) {
    $ErrorActionPreference = 'Stop'
    if ($Given.Server -and 'localhost', $env:COMPUTERNAME -notcontains $Given.Server) {
        throw 'The lab plays no MultiPoint server behind another.'
    }
    if ('Close-WmsSession', 'Disconnect-WmsSession', 'Get-WmsStation', 'Set-WmsSystem', 'Switch-WmsSystem' -contains $Name) {
        while ((Get-LabFact 'wms') -eq 'hangs') { Start-Sleep -Seconds 1 }
    }
    switch ($Name) {
        'Close-WmsSession' { Stop-LabSession 'close' $Given; break }
        'Disconnect-WmsSession' { Stop-LabSession 'disconnect' $Given; break }
        'Get-WmsDiskProtection' { (Get-LabFact 'multipoint').disk_protection; break }
        'Get-WmsSession' { Select-LabRow (Get-LabFact 'multipoint').sessions $Given | ConvertTo-LabSession $Generation; break }
        'Get-WmsStation' { Select-LabRow (Get-LabFact 'multipoint').stations $Given | ConvertTo-LabStation $Generation; break }
        'Get-WmsSystem' { Get-LabSystem $Generation $Given; break }
        'Set-WmsSystem' { Set-LabMode $Given; break }
        'Switch-WmsSystem' { [void](Get-LabFact 'switch' 'other'); break }
        default { throw "$Name is not played by the lab." }
    }
}

# One id after the other. For an id that is not there the error is documented, for other reasons it is not.
function Stop-LabSession([string]$Act, $Given) {
    $there = @((Get-LabFact 'multipoint').sessions | ForEach-Object { $_.id })
    $ids = if ($Given.All) { $there } else { @($Given.SessionId) }
    foreach ($id in $ids) {
        if ($there -notcontains $id) {
            throw (New-Object System.Management.Automation.ItemNotFoundException "No session with the id $id was found.")
        }
        [void](Get-LabFact $Act $id)
    }
}

function Select-LabRow($Rows, $Given) {
    $wanted = @(foreach ($name in 'Id', 'SessionId', 'StationId') { if ($Given.ContainsKey($name)) { $Given.$name } })
    $Rows | Where-Object { $_ -and (-not $wanted -or $wanted -contains $_.id) }
}

filter ConvertTo-LabSession([string]$Generation) {
    $key = if ($Generation -eq '2012') { 'Id' } else { 'SessionId' }
    [pscustomobject][ordered]@{
        $key = [uint32]$_.id; State = [WmsSessionState]$_.state; IsAdmin = [bool]$_.admin; UserName = $_.user
        StationId = [uint32]$_.station; ComputerName = $env:COMPUTERNAME; ClientName = $_.client; DomainName = $_.domain; IsRail = $false
    }
}

# "No session" is the largest number of 32 bits, and passwords are among the properties.
filter ConvertTo-LabStation([string]$Generation) {
    $key = if ($Generation -eq '2012') { 'Id' } else { 'StationId' }
    $session = [uint32]4294967295
    if ($null -ne $_.session_id) { $session = [uint32]$_.session_id }
    [pscustomobject][ordered]@{
        $key = [uint32]$_.id; Name = $_.name; IsAutoLogOn = [bool]$_.auto_logon; AutoLogOnUserName = ''
        AutoLogOnPassword = 'a password that must not travel'; ComputerName = $env:COMPUTERNAME; SessionId = $session
    }
}

# Of the settings only the mode is played.
function Set-LabMode($Given) {
    if (-not $Given.ContainsKey('Mode')) { throw 'Of Set-WmsSystem the lab plays -Mode only.' }
    [void](Get-LabFact 'switch' "$($Given.Mode)")
}

function Get-LabSystem([string]$Generation, $Given) {
    $mode = (Get-LabFact 'multipoint').mode
    if ($Generation -eq '2012') { if ($Given.SystemMode) { $mode }; return }
    [pscustomobject]@{ SystemMode = $mode; ComputerName = $env:COMPUTERNAME }
}
