package config

import "strings"

// Cluster returns the cluster of that name, or nil. Names are compared exactly: they are labels.
func (c *Config) Cluster(name string) *Cluster {
	for _, cl := range c.Clusters {
		if cl.Name == name {
			return cl
		}
	}
	return nil
}

// VirtualMachine returns the virtual machine of that inventory name, or nil.
func (c *Config) VirtualMachine(cluster, vm string) *VirtualMachine {
	if cl := c.Cluster(cluster); cl != nil {
		return cl.VirtualMachine(vm)
	}
	return nil
}

// SQLServer returns the instance of that name, or nil.
func (c *Config) SQLServer(cluster, vm, instance string) *SQLServer {
	if m := c.VirtualMachine(cluster, vm); m != nil {
		return m.SQLServer(instance)
	}
	return nil
}

// Policy returns the policy of a virtual machine of this configuration; a loaded configuration always has it.
func (c *Config) Policy(vm *VirtualMachine) *Policy { return c.Receiver.Policies[vm.Policy] }

// NeverTouch reports whether a virtual machine stands on the never-touch list, by its inventory name, by the name that
// Hyper-V or the cluster has for it, or by its id, where one of ids is given: an entry under one name protects it under
// every other. Windows' names know no case, and a list that protects is not evaded by it.
func (c *Config) NeverTouch(cluster, vm string, ids ...string) bool {
	names := append([]string{vm}, ids...)
	if m := c.VirtualMachine(cluster, vm); m != nil {
		names = append(names, m.HyperVName(), m.GroupName())
	}
	for _, n := range c.Receiver.NeverTouch {
		for _, name := range names {
			if name != "" && strings.EqualFold(n, cluster+"/"+name) {
				return true
			}
		}
	}
	return false
}

// Node returns the node of that name, or nil.
func (c *Cluster) Node(name string) *Node {
	for _, n := range c.Nodes {
		if n.Name == name {
			return n
		}
	}
	return nil
}

// VirtualMachine returns the virtual machine of that inventory name, or nil.
func (c *Cluster) VirtualMachine(name string) *VirtualMachine {
	for _, vm := range c.VirtualMachines {
		if vm.Name == name {
			return vm
		}
	}
	return nil
}

// SQLServerTLS returns the TLS settings of one of the cluster's instances: its own, or the cluster's certificate
// authority. The cluster's server name is WinRM's and does not carry over.
func (c *Cluster) SQLServerTLS(s *SQLServer) TLS {
	if s.TLS != nil {
		return *s.TLS
	}
	return TLS{CAFile: c.TLS.CAFile}
}

// SQLServer returns the instance of that name, or nil.
func (v *VirtualMachine) SQLServer(instance string) *SQLServer {
	for _, s := range v.SQLServers {
		if s.Instance == instance {
			return s
		}
	}
	return nil
}

// GroupName returns the name of the virtual machine's cluster group.
func (v *VirtualMachine) GroupName() string {
	if v.Group != "" {
		return v.Group
	}
	return v.Name
}

// HyperVName returns Hyper-V's own name of the virtual machine.
func (v *VirtualMachine) HyperVName() string {
	if v.VMName != "" {
		return v.VMName
	}
	return v.Name
}

// defaultInstance is the name of an instance that is addressed by its computer alone.
const defaultInstance = "MSSQLSERVER"

// IsDefault reports whether this is the default instance.
func (s *SQLServer) IsDefault() bool { return strings.EqualFold(s.Instance, defaultInstance) }

// ServiceName returns the name of the instance's Windows service (learn.microsoft.com, "Configure Windows service
// accounts and permissions").
func (s *SQLServer) ServiceName() string {
	if s.IsDefault() {
		return defaultInstance
	}
	return "MSSQL$" + s.Instance
}

// AgentServiceName returns the name of the Windows service of the instance's SQL Server Agent.
func (s *SQLServer) AgentServiceName() string {
	if s.IsDefault() {
		return "SQLSERVERAGENT"
	}
	return "SQLAgent$" + s.Instance
}
