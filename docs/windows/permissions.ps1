<#
.SYNOPSIS
    Gives the reading account of Hypervigil what it needs on this machine, and no more.
.DESCRIPTION
    Run as an administrator, on each node with -Role Node and in each guest with -Role Guest; once per cluster with
    -Cluster besides. What each grant is for stands in permissions.md. Running it twice changes nothing more.
    Not run on Windows by the project: look at -WhatIf first.
.EXAMPLE
    .\permissions.ps1 -Account CORP\hv-reader -Role Node -Cluster -WhatIf
#>
[CmdletBinding(SupportsShouldProcess)]
param(
    [Parameter(Mandatory)] [string] $Account,
    [Parameter(Mandatory)] [ValidateSet('Node', 'Guest')] [string] $Role,
    [switch] $Cluster,
    [switch] $Services
)
$ErrorActionPreference = 'Stop'
$sid = ([System.Security.Principal.NTAccount] $Account).Translate([System.Security.Principal.SecurityIdentifier]).Value

# Groups by their well-known identifiers: their names are in the language of Windows.
$groups = @('S-1-5-32-580', 'S-1-5-32-573', 'S-1-5-32-558') # Remote Management Users, Event Log Readers, Performance Monitor Users
$namespaces = @('root/cimv2')
if ($Role -eq 'Node') {
    $groups += 'S-1-5-32-578' # Hyper-V Administrators: Hyper-V knows no reader
    $namespaces += 'root/virtualization/v2', 'root/MSCluster', 'root/StandardCimv2'
}
foreach ($group in $groups) {
    $members = Get-LocalGroupMember -SID $group -ErrorAction SilentlyContinue
    if ($members.SID.Value -notcontains $sid -and $PSCmdlet.ShouldProcess($group, "add $Account")) {
        Add-LocalGroupMember -SID $group -Member $Account
    }
}

# CC is WBEM_ENABLE (0x1), WP is WBEM_REMOTE_ACCESS (0x20): Enable Account and Remote Enable, in this namespace alone.
$entry = "(A;;CCWP;;;$sid)"
foreach ($namespace in $namespaces) {
    $binary = (Invoke-CimMethod -Namespace $namespace -ClassName __SystemSecurity -MethodName GetSD).SD
    $sddl = (Invoke-CimMethod -ClassName Win32_SecurityDescriptorHelper -MethodName BinarySDToSDDL -Arguments @{ BinarySD = $binary }).SDDL
    if ($sddl.Contains($entry)) { continue }
    # The entry belongs to the list of who may (D:), which the list of what is audited (S:) may follow.
    $audit = $sddl.IndexOf('S:(')
    $changed = if ($audit -lt 0) { $sddl + $entry } else { $sddl.Insert($audit, $entry) }
    if ($PSCmdlet.ShouldProcess($namespace, "allow $Account to read from the network")) {
        $binary = (Invoke-CimMethod -ClassName Win32_SecurityDescriptorHelper -MethodName SDDLToBinarySD -Arguments @{ SDDL = $changed }).BinarySD
        $null = Invoke-CimMethod -Namespace $namespace -ClassName __SystemSecurity -MethodName SetSD -Arguments @{ SD = $binary }
    }
}

if ($Cluster -and $PSCmdlet.ShouldProcess('the cluster of this node', "allow $Account to read")) {
    Grant-ClusterAccess -User $Account -ReadOnly
}

if ($Services) {
    # CC connect, LC list, RP ask for the lock's state, RC read the descriptor: what Windows gives interactive users.
    $entry = "(A;;CCLCRPRC;;;$sid)"
    $sddl = (-join (sc.exe sdshow scmanager)).Trim()
    if (-not $sddl.Contains($entry)) {
        $audit = $sddl.IndexOf('S:(')
        $changed = if ($audit -lt 0) { $sddl + $entry } else { $sddl.Insert($audit, $entry) }
        if ($PSCmdlet.ShouldProcess('the service control manager', "allow $Account to list services")) {
            sc.exe sdset scmanager $changed
        }
    }
}
