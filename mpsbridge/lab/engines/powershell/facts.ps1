# The facts of the host as they are now, asked at the lab's desk. Stands before host.ps1 and before MultiPoint.psm1.
function global:Get-LabFacts {
    $socket = New-Object System.Net.Sockets.Socket ([Net.Sockets.AddressFamily]::Unix), ([Net.Sockets.SocketType]::Stream), ([Net.Sockets.ProtocolType]::Unspecified)
    try {
        $socket.Connect((New-Object System.Net.Sockets.UnixDomainSocketEndPoint $env:MPSBRIDGE_LAB_DESK))
        $stream = New-Object System.Net.Sockets.NetworkStream $socket, $false
        $question = [Text.Encoding]::UTF8.GetBytes((ConvertTo-Json -Compress -InputObject @{ host = $env:MPSBRIDGE_LAB_HOST; program = 'facts'; arguments = @() }) + "`n")
        $stream.Write($question, 0, $question.Length)
        $reader = New-Object System.IO.StreamReader $stream
        $answer = ConvertFrom-Json -InputObject $reader.ReadLine()
    } finally {
        $socket.Dispose()
    }
    ConvertFrom-Json -InputObject ([Text.Encoding]::UTF8.GetString([Convert]::FromBase64String($answer.out)))
}
