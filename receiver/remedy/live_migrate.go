package remedy

import "fmt"

// liveMigrate takes a well guest away from a sick node.
func liveMigrate() Spec {
	return Spec{Rung: LiveMigrate, propose: func(group, _ string) []string {
		return []string{fmt.Sprintf("Move-ClusterVirtualMachineRole -Name %s -MigrationType Live", quote(group))}
	}}
}
