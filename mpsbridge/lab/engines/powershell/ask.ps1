# One question to the lab's desk: about the host, or for a program of it. Stands before host.ps1 and MultiPoint.psm1.
function global:Get-LabFact([string]$Question, [string]$Key) {
    $socket = [Net.Sockets.Socket]::new('Unix', 'Stream', 'Unspecified')
    try {
        $socket.Connect([Net.Sockets.UnixDomainSocketEndPoint]::new($env:MPSBRIDGE_LAB_DESK))
        $reader = [IO.StreamReader]::new([Net.Sockets.NetworkStream]::new($socket))
        [void]$socket.Send([Text.Encoding]::UTF8.GetBytes(($env:MPSBRIDGE_LAB_SEAT, 'fact', $Question, $Key -join "`0")))
        $socket.Shutdown('Send')
        $code = $reader.ReadLine().Split(' ')[0]
        $text = $reader.ReadToEnd()
    } finally {
        $socket.Dispose()
    }
    if ($code -eq '5') { throw [UnauthorizedAccessException]::new($text) }
    if ($code -ne '0') { throw $text }
    $found = ConvertFrom-Json -InputObject $text  # a list is enumerated here, whatever the version
    $found
}
