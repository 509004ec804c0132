# Runs one script as a remote session would, in a runspace of its own over a make-believe host, and writes each object
# that comes out on a line of its own: the stream's name, a blank, and the text as base64 of UTF-8. With a call (function
# and parameters as JSON) the script is a module of a restricted endpoint, where only what it exports can be called.
param([string]$Folder, [string]$Script, [string]$Language = 'FullLanguage', [string]$Call, [int]$ConsolePage)

if ($ConsolePage) { [Console]::OutputEncoding = [Text.Encoding]::GetEncoding($ConsolePage) }

$restrict = {
    param($Module)
    $published = (Import-Module $Module -PassThru).ExportedCommands.Keys
    Import-Module Microsoft.PowerShell.Utility, Microsoft.PowerShell.Management
    foreach ($command in Get-Command -CommandType Cmdlet, Function, Alias) {
        if ($published -notcontains $command.Name) { $command.Visibility = 'Private' }
    }
    $ExecutionContext.SessionState.Applications.Clear()
    $ExecutionContext.SessionState.Scripts.Clear()
    $ExecutionContext.SessionState.LanguageMode = 'NoLanguage'
}

function Write-Line([string]$Stream, $Records) {
    foreach ($record in $Records) {
        [Console]::Out.WriteLine("$Stream " + [Convert]::ToBase64String([Text.Encoding]::UTF8.GetBytes("$record")))
    }
}

$runspace = [runspacefactory]::CreateRunspace([initialsessionstate]::CreateDefault2())
$runspace.Open()
$shell = [powershell]::Create()
$shell.Runspace = $runspace
if ($Folder) {
    [void]$shell.AddScript('param($Prelude, $Folder) . $Prelude $Folder').AddArgument("$PSScriptRoot/host.ps1").AddArgument($Folder)
    [void]$shell.Invoke()
    if ($shell.Streams.Error.Count) { throw "the make-believe host failed: $($shell.Streams.Error[0])" }
    $shell.Commands.Clear()
}
if ($Call) {
    $asked = ConvertFrom-Json -InputObject ([IO.File]::ReadAllText($Call))
    [void]$shell.AddScript($restrict).AddArgument($Script)
    [void]$shell.Invoke()
    $shell.Commands.Clear()
    [void]$shell.AddCommand($asked.function)
    foreach ($parameter in $asked.parameters.PSObject.Properties) { [void]$shell.AddParameter($parameter.Name, $parameter.Value) }
} else {
    $runspace.SessionStateProxy.LanguageMode = $Language
    [void]$shell.AddScript([IO.File]::ReadAllText($Script))
}
try {
    Write-Line 'output' $shell.Invoke()
} catch {
    Write-Line 'failed' "$($_.Exception.InnerException.Message)"
}
Write-Line 'error' $shell.Streams.Error
foreach ($stream in 'Warning', 'Verbose', 'Debug', 'Progress', 'Information') {
    Write-Line 'noise' $shell.Streams.$stream
}
