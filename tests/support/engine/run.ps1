# Runs scripts as remote sessions would, each in a runspace of its own over a make-believe host. A request is one line of
# JSON on standard input; each object that comes out is written on a line of its own: the stream's name, a blank, and the
# text as base64 of UTF-8; a line "end" follows. With a call (function and parameters) the script is a module of a
# restricted endpoint, where only what it exports can be called. Nothing of a request is left for the next one.
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

function Invoke-Request($Request, $Runspace) {
    $shell = [powershell]::Create()
    $shell.Runspace = $Runspace
    if ($Request.folder) {
        [void]$shell.AddScript('param($Prelude, $Folder) . $Prelude $Folder').AddArgument("$PSScriptRoot/host.ps1").AddArgument($Request.folder)
        [void]$shell.Invoke()
        if ($shell.Streams.Error.Count) { throw "the make-believe host failed: $($shell.Streams.Error[0])" }
        $shell.Commands.Clear()
    }
    if ($Request.function) {
        [void]$shell.AddScript($restrict).AddArgument($Request.script)
        [void]$shell.Invoke()
        $shell.Commands.Clear()
        [void]$shell.AddCommand($Request.function)
        foreach ($parameter in $Request.parameters.PSObject.Properties) { [void]$shell.AddParameter($parameter.Name, $parameter.Value) }
    } else {
        $Runspace.SessionStateProxy.LanguageMode = $Request.language
        [void]$shell.AddScript([IO.File]::ReadAllText($Request.script))
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
    $shell.Dispose()
}

$accelerators = [psobject].Assembly.GetType('System.Management.Automation.TypeAccelerators')
$types = @($accelerators::Get.Keys)
$names = 'PSModulePath', 'SystemRoot', 'ProgramFiles', 'ProgramW6432', 'COMPUTERNAME', 'ENGINE_WORLD', 'ENGINE_SCRIPTS'
$before = @{}
foreach ($name in $names) { $before[$name] = [Environment]::GetEnvironmentVariable($name) }
while ($line = [Console]::In.ReadLine()) {
    $request = ConvertFrom-Json -InputObject $line
    if ($request.console_page) { [Console]::OutputEncoding = [Text.Encoding]::GetEncoding([int]$request.console_page) }
    $runspace = [runspacefactory]::CreateRunspace([initialsessionstate]::CreateDefault2())
    $runspace.Open()
    Invoke-Request $request $runspace
    $runspace.Dispose()
    foreach ($name in @($accelerators::Get.Keys)) { if ($types -notcontains $name) { [void]$accelerators::Remove($name) } }
    foreach ($name in $names) { [Environment]::SetEnvironmentVariable($name, $before[$name]) }
    [Console]::Out.WriteLine('end')
}
