# Stands for the CimCmdlets module on a restricted endpoint. What Windows has comes with it, and cannot be called there.
. "$env:ENGINE_SCRIPTS/host.ps1" $env:ENGINE_WORLD
foreach ($name in 'Get-EngineWorld', 'Get-EngineTime', 'Get-Process', 'Get-CimInstance', 'Invoke-CimMethod', 'Get-ItemProperty', 'Test-Path', 'Get-Service') {
    (Get-Command -Name $name -CommandType Function).Visibility = 'Private'
}
