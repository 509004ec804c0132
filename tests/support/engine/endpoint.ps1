# Plays the endpoint that a session configuration file describes: PowerShell's own reader of such files, its own
# remoting server, and the pipes of "pwsh -s". A full pwsh does this with -ConfigurationFile; the class below is what
# stands behind that.
param([string]$Folder, [string]$Configuration)

. "$PSScriptRoot/modules.ps1" $Folder
$mediator = [psobject].Assembly.GetType('System.Management.Automation.Remoting.Server.StdIOProcessMediator')
$run = $mediator.GetMethod('Run', [Reflection.BindingFlags]'NonPublic, Public, Static')
[void]$run.Invoke($null, @($null, $Folder, $null, $Configuration, $false))
