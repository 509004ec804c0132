# What comes of calls by somebody of one group, on the endpoint of a session configuration; each on a line of its own as
# base64 of UTF-8. All in one session, one after the other.
param([string]$Folder, [string]$Configuration, [string]$Group, [string]$Calls)

. "$PSScriptRoot/modules.ps1" $Folder
$member = [Func[string, bool]] { $args[0] -eq $Group }
$state = [initialsessionstate]::CreateFromSessionConfigurationFile($Configuration, $member)
$state.ThrowOnRunspaceOpenError = $true
$runspace = [runspacefactory]::CreateRunspace($state)
$runspace.Open()
foreach ($call in (ConvertFrom-Json -InputObject ([IO.File]::ReadAllText($Calls))).calls) {
    $shell = [powershell]::Create()
    $shell.Runspace = $runspace
    if ($call.text) { [void]$shell.AddScript($call.text) } else { [void]$shell.AddCommand($call.command) }
    foreach ($parameter in $call.parameters.PSObject.Properties) {
        $value = $parameter.Value
        if ($value.block) { $value = [scriptblock]::Create($value.block) }
        [void]$shell.AddParameter($parameter.Name, $value)
    }
    try {
        $result = "answered $($shell.Invoke())"
        if ($shell.Streams.Error.Count) { $result = "failed $($shell.Streams.Error[0].FullyQualifiedErrorId)" }
    } catch {
        $result = "failed $($_.Exception.InnerException.ErrorRecord.FullyQualifiedErrorId)"
    }
    [Console]::Out.WriteLine([Convert]::ToBase64String([Text.Encoding]::UTF8.GetBytes($result)))
}
