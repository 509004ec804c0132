@{
    RootModule        = 'MultiPoint.psm1'
    ModuleVersion     = '10.0.0.0'
    FunctionsToExport = 'Close-WmsSession', 'Disconnect-WmsSession', 'Get-WmsSession', 'Get-WmsStation', 'Get-WmsSystem'
}
