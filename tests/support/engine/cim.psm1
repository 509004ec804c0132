# Stands for the CimCmdlets module on a restricted endpoint. What Windows has comes with it, and cannot be called there.
. $env:MPSBRIDGE_LAB_PRELUDE
foreach ($found in [regex]::Matches([IO.File]::ReadAllText($env:MPSBRIDGE_LAB_PRELUDE), '(?m)^function global:([\w-]+)')) {
    (Get-Command -Name $found.Groups[1].Value -CommandType Function).Visibility = 'Private'
}
