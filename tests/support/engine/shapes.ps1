# Reads each literal as PowerShell's parser reads it, in the place where a call has it. Writes a line for each: whether the
# syntax tree and the tokens have the shape that a harmless literal of the same kind gives, and its value.
param([string]$File)

. "$PSScriptRoot/describe.ps1"

function Get-Shape([string]$Literal) {
    $tokens = $errors = $null
    $script = "# audit`nShow-It -Value $Literal -Last 1`n"
    $tree = [Management.Automation.Language.Parser]::ParseInput($script, [ref]$tokens, [ref]$errors)
    $nodes = $tree.FindAll({ $true }, $true)
    @{
        shape = "$($errors.Count) $($tokens.Kind) $(foreach ($node in $nodes) { $node.GetType().Name })"
        value = $tree.EndBlock.Statements[0].PipelineElements[0].CommandElements[2]
    }
}

$plain = @{}
foreach ($pair in (ConvertFrom-Json -InputObject ([IO.File]::ReadAllText($File))).pairs) {
    if (-not $plain.ContainsKey($pair.plain)) { $plain[$pair.plain] = (Get-Shape $pair.plain).shape }
    $found = Get-Shape $pair.literal
    if ($found.shape -cne $plain[$pair.plain]) { 'another shape'; continue }
    Get-Description $found.value.SafeGetValue()
}
