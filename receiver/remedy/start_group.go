package remedy

import "fmt"

// startGroup starts a group that the cluster gave up.
func startGroup() Spec {
	return Spec{Rung: StartGroup, propose: func(group, _ string) []string {
		return []string{fmt.Sprintf("Start-ClusterGroup -Name %s", quote(group))}
	}}
}
