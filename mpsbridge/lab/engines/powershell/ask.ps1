# One question to the lab's desk: about the host, or for a program of it. Stands before host.ps1 and MultiPoint.psm1.
function global:Get-LabFact([string]$Question, [string]$Key) {
    $socket = New-Object System.Net.Sockets.Socket 'Unix', 'Stream', 'Unspecified'
    try {
        $socket.Connect((New-Object System.Net.Sockets.UnixDomainSocketEndPoint $env:MPSBRIDGE_LAB_DESK))
        $reader = New-Object System.IO.StreamReader (New-Object System.Net.Sockets.NetworkStream $socket)
        [void]$socket.Send([Text.Encoding]::UTF8.GetBytes(($env:MPSBRIDGE_LAB_SEAT, 'fact', $Question, $Key -join "`0")))
        $socket.Shutdown('Send')
        $code = $reader.ReadLine().Split(' ')[0]
        $text = $reader.ReadToEnd()
    } finally {
        $socket.Dispose()
    }
    if ($code -eq '5') { throw (New-Object System.UnauthorizedAccessException $text) }
    if ($code -ne '0') { throw $text }
    $found = ConvertFrom-Json -InputObject $text  # a list is enumerated here, whatever the version
    $found
}
