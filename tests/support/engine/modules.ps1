# Where a make-believe host keeps its modules, and what PowerShell's reader of session configurations needs to be there:
# it opens a session with every module of a full PowerShell. Where one is not installed, an empty one of its name will do.
param([string]$Folder)

$env:PSModulePath = [IO.Path]::Combine($Folder, 'modules') + [IO.Path]::PathSeparator + $env:PSModulePath
foreach ($part in 'ConsoleHost', 'Security', 'Commands.Diagnostics') {
    $name = [psobject].Assembly.GetName()
    $name.Name = "Microsoft.PowerShell.$part"
    if ([IO.File]::Exists([IO.Path]::Combine([AppContext]::BaseDirectory, "$($name.Name).dll"))) { continue }
    $assembly = [Reflection.Emit.PersistedAssemblyBuilder]::new($name, [object].Assembly)
    [void]$assembly.DefineDynamicModule('Empty')
    $bytes = [IO.MemoryStream]::new()
    $assembly.Save($bytes)
    $bytes.Position = 0
    [void][Runtime.Loader.AssemblyLoadContext]::Default.LoadFromStream($bytes)
}
