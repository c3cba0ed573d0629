package remedy

import "fmt"

// startGroup starts a group that the cluster gave up, on the node that owns it now; nothing more.
func startGroup() Spec {
	return Spec{
		Rung: StartGroup,
		plan: func(c Case) ([]Command, error) {
			if c.Group == "" || c.Owner == "" {
				return nil, fmt.Errorf("the group of %s or its owner is not known", c.Subject.VM)
			}
			return []Command{{
				Method: BringOnline, VM: c.Subject.VM, Instance: c.Subject.Instance, Node: c.Owner, Group: c.Group, From: c.Owner, Timeout: callTimeout,
				Cmdlet: startCmdlet(c.Group),
			}}, nil
		},
		propose: func(group, _ string) []string { return []string{startCmdlet(group)} },
	}
}

func startCmdlet(group string) string {
	return fmt.Sprintf("Start-ClusterGroup -Name %s", quote(group))
}
