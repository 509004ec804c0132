# A value as text that tells its type, and its characters exactly.
function Get-Description($Value) {
    if ($null -eq $Value) { return 'null' }
    if ($Value -is [bool]) { return "bool:$Value" }
    if ($Value -is [int] -or $Value -is [long]) { return "int:$Value" }
    if ($Value -is [string]) { return 'text:' + [Convert]::ToBase64String([Text.Encoding]::UTF8.GetBytes($Value)) }
    if ($Value -is [hashtable]) {
        $keys = [string[]]@($Value.Keys)
        [array]::Sort($keys, [StringComparer]::Ordinal)
        return 'table:{' + (@(foreach ($key in $keys) { "$key=" + (Get-Description $Value[$key]) }) -join ',') + '}'
    }
    'list:[' + (@(foreach ($each in $Value) { Get-Description $each }) -join ',') + ']'
}
