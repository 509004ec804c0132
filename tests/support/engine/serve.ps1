# Runs scripts as remote sessions would, on a make-believe Windows where a prelude makes one. A request is one line of JSON
# on standard input; each object that comes out is written on a line of its own: the stream's name, a blank, and the text as
# base64 of UTF-8; a line "end" follows. With a module a function of it is called, on a restricted endpoint that has nothing
# else. Nothing of a request is left for the next one: each has a runspace of its own, but for scripts of the package
# ("clean"), which leave nothing but functions of their own behind; those share one, which saves most of their time.
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

function Open-Runspace([string]$Prelude) {
    $runspace = [runspacefactory]::CreateRunspace([initialsessionstate]::CreateDefault2())
    $runspace.Open()
    if ($Prelude) { Invoke-Setup $runspace 'param($Prelude) . $Prelude' $Prelude }
    $runspace
}

function Invoke-Setup($Runspace, [string]$Script, $Argument) {
    $shell = [powershell]::Create()
    $shell.Runspace = $Runspace
    [void]$shell.AddScript($Script).AddArgument($Argument).Invoke()
    if ($shell.Streams.Error.Count) { throw "the make-believe host failed: $($shell.Streams.Error[0])" }
    $shell.Dispose()
}

function Invoke-Request($Request, $Runspace) {
    $shell = [powershell]::Create()
    $shell.Runspace = $Runspace
    if ($Request.module) {
        Invoke-Setup $Runspace $restrict $Request.module
        [void]$shell.AddCommand($Request.function)
        foreach ($parameter in $Request.parameters.PSObject.Properties) { [void]$shell.AddParameter($parameter.Name, $parameter.Value) }
    } else {
        $Runspace.SessionStateProxy.LanguageMode = $Request.language
        [void]$shell.AddScript($Request.script)
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
$before = [Environment]::GetEnvironmentVariables()
$forget = 'foreach ($function in Get-Command -Name *-Mpsbridge* -CommandType Function) { Remove-Item "function:$($function.Name)" }'
$shared = $null
while ($line = [Console]::In.ReadLine()) {
    $request = ConvertFrom-Json -InputObject $line
    if ([Console]::OutputEncoding.CodePage -ne $request.console_page) {
        [Console]::OutputEncoding = [Text.Encoding]::GetEncoding([int]$request.console_page)
    }
    foreach ($variable in $request.environment.PSObject.Properties) { [Environment]::SetEnvironmentVariable($variable.Name, $variable.Value) }
    $clean = $request.clean -and $request.prelude
    if ($clean -and $shared) {
        Invoke-Setup $shared 'Enter-LabHost; Register-LabClass'
        $runspace = $shared
    } else {
        $runspace = Open-Runspace $request.prelude
    }
    Invoke-Request $request $runspace
    if ($clean) {
        $runspace.SessionStateProxy.LanguageMode = 'FullLanguage'
        Invoke-Setup $runspace $forget
        $runspace.ResetRunspaceState()
        $shared = $runspace
    } else {
        $runspace.Dispose()
    }
    foreach ($name in @($accelerators::Get.Keys)) { if ($types -notcontains $name) { [void]$accelerators::Remove($name) } }
    foreach ($name in @([Environment]::GetEnvironmentVariables().Keys)) { [Environment]::SetEnvironmentVariable($name, $before[$name]) }
    [TimeZoneInfo]::ClearCachedData()
    [Globalization.CultureInfo]::DefaultThreadCurrentCulture = [Globalization.CultureInfo]::DefaultThreadCurrentUICulture = $null
    [Console]::Out.WriteLine('end')
}
