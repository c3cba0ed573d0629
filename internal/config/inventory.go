package config

import (
	"fmt"
	"net"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// clusters checks the inventory: names, references, and that no two entries mean the same machine.
func (v *validator) clusters() {
	if len(v.config.Clusters) == 0 {
		v.check("clusters", "is missing; list at least one cluster")
	}
	names := map[string]string{}
	// An address belongs to one entry. The same address twice is the copy-and-paste error that makes one machine's
	// fault another's.
	winrm, sql := map[string]string{}, map[string]string{}
	for i, c := range v.config.Clusters {
		path := fmt.Sprintf("clusters[%d]", i)
		v.name(path+".name", c.Name)
		v.unique(names, path+".name", "cluster", c.Name)
		v.reference(path+".reader", c.Reader)
		enum(v, path+".mode", c.Mode, Modes())
		if c.Operator != "" {
			v.reference(path+".operator", c.Operator)
		}
		if c.GuestOperator != "" {
			v.reference(path+".guest_operator", c.GuestOperator)
		}
		v.nodes(path, c, winrm)
		v.machineNames(path, c)
		v.virtualMachines(path, c, winrm, sql)
	}
}

func (v *validator) nodes(path string, c *Cluster, winrm map[string]string) {
	if len(c.Nodes) == 0 {
		v.check(path+".nodes", "is missing; list the nodes of the cluster")
	}
	names := map[string]string{}
	for i, n := range c.Nodes {
		at := fmt.Sprintf("%s.nodes[%d]", path, i)
		v.name(at+".name", n.Name)
		v.unique(names, at+".name", "node of a cluster", n.Name)
		if len(n.Addresses) == 0 {
			v.check(at+".addresses", "is missing; give host or host:port, more than one where the node has them")
		}
		for j, a := range n.Addresses {
			v.address(fmt.Sprintf("%s.addresses[%d]", at, j), a, winrm)
		}
	}
}

func (v *validator) virtualMachines(path string, c *Cluster, winrm, sql map[string]string) {
	names, groups, own := map[string]string{}, map[string]string{}, map[string]string{}
	for i, vm := range c.VirtualMachines {
		at := fmt.Sprintf("%s.virtual_machines[%d]", path, i)
		v.name(at+".name", vm.Name)
		v.unique(names, at+".name", "virtual machine of a cluster", vm.Name)
		// Two entries for one group would be one machine under two names, and so two ladders for one fault.
		v.unique(groups, whereGiven(v, at+".group", at+".name"), "virtual machine's group", vm.GroupName())
		v.unique(own, whereGiven(v, at+".vm_name", at+".name"), "virtual machine in Hyper-V", vm.HyperVName())
		if vm.Guest.Address != "" {
			v.address(at+".guest.address", vm.Guest.Address, winrm)
		}
		if vm.Application != nil {
			v.application(at+".application", vm)
		}
		v.thresholds(at+".thresholds", vm.Thresholds)
		if v.config.Receiver.Policies[vm.Policy] == nil {
			v.check(at+".policy", "there is no policy %s; define it under receiver.policies", quote(vm.Policy))
		}
		instances := map[string]string{}
		for j, s := range vm.SQLServers {
			v.sqlServer(fmt.Sprintf("%s.sql_servers[%d]", at, j), s, instances, sql)
		}
	}
}

func (v *validator) thresholds(path string, t Thresholds) {
	v.notNegative(path+".backup_age", t.BackupAge)
	v.notNegative(path+".log_backup_age", t.LogBackupAge)
	// At 100 % it is too late: nothing is written any more.
	if p := t.LogUsedPercent; p < 0 || p > 99 {
		v.check(path+".log_used_percent", "%d is not allowed; use 1 to 99, or 0 for never", p)
	}
}

// whereGiven is the path of the field that decides a name: the field itself, or the one that stands in for it.
func whereGiven(v *validator, field, standIn string) string {
	if _, ok := v.lines[field]; ok {
		return field
	}
	return standIn
}

func (v *validator) sqlServer(path string, s *SQLServer, instances, sql map[string]string) {
	switch {
	case s.Instance == "":
		v.check(path+".instance", "is missing; use MSSQLSERVER for the default instance")
	case !instanceForm.MatchString(s.Instance):
		v.check(path+".instance", "%s is not the name of an instance; use letters, digits, _ and $, a letter first, and MSSQLSERVER for the default instance", quote(s.Instance))
	}
	v.unique(instances, path+".instance", "instance of a virtual machine", s.Instance)
	enum(v, path+".encrypt", s.Encrypt, Encryptions())
	v.reference(path+".credential", s.Credential)
	if c := v.config.Credentials[s.Credential]; c != nil {
		v.sqlScheme(path, s, c)
	}
	if why := checkAddress(s.Address, portRequired); why != "" {
		v.check(path+".address", "%s", why)
	} else {
		v.once(path+".address", s.Address, strings.ToLower(s.Address), sql)
	}
	if s.Admin != nil {
		v.admin(path, s, sql)
	}
}

// sqlScheme checks that an instance can be logged in to by the credential's scheme.
func (v *validator) sqlScheme(path string, s *SQLServer, c *Credential) {
	switch c.Scheme {
	case Basic:
		if strings.Contains(c.Username, `\`) {
			v.check("credentials."+s.Credential+".username", "%s is a Windows account, and the scheme basic logs in to SQL Server with a login of its own; use the scheme ntlm or kerberos", quote(c.Username))
		}
	case NTLM:
		if s.Encrypt == Optional {
			// Only the first message of the login would be encrypted; NTLM's proof is in the second.
			v.check(path+".encrypt", "%s does not go with the scheme %s of the credential %s; use %s", Optional, c.Scheme, quote(s.Credential), oneOf([]Encryption{Strict, Mandatory}))
		}
	case Kerberos:
		host, _ := splitAddress(s.Address)
		v.spn(path, s.SPN, isIP(host))
	case Certificate:
		v.check(path+".credential", "the credential %s has the scheme %s, which SQL Server does not have; use %s", quote(s.Credential), c.Scheme, oneOf([]Scheme{Basic, NTLM, Kerberos}))
	}
}

// machineNames checks that every machine has a name that Kerberos knows, where one of its credentials is proven so.
func (v *validator) machineNames(path string, c *Cluster) {
	uses := func(names ...string) bool {
		return slices.ContainsFunc(names, func(n string) bool {
			cred := v.config.Credentials[n]
			return cred != nil && cred.Scheme == Kerberos
		})
	}
	for i, n := range c.Nodes {
		named := slices.ContainsFunc(n.Addresses, func(a string) bool { host, _ := splitAddress(a); return !isIP(host) })
		v.spn(fmt.Sprintf("%s.nodes[%d]", path, i), n.SPN, !named && uses(c.Reader, c.Operator))
	}
	for i, vm := range c.VirtualMachines {
		host, _ := splitAddress(vm.Guest.Address)
		v.spn(fmt.Sprintf("%s.virtual_machines[%d].guest", path, i), vm.Guest.SPN, isIP(host) && uses(c.Reader, c.GuestOperator))
	}
}

// spnForm is the name of a service in Kerberos (learn.microsoft.com, "Name formats for unique SPNs"), without a realm.
var spnForm = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_-]*/[^/@\\\s]+$`)

// spn checks the name of a service. needed says that nothing else tells it: Kerberos knows nobody by an IP address.
func (v *validator) spn(path, spn string, needed bool) {
	switch {
	case spn == "" && needed:
		v.check(path+".spn", "is missing; the scheme kerberos knows machines by name, and the address is none; use service/host")
	case spn != "" && !spnForm.MatchString(spn):
		v.check(path+".spn", "%s is not the name of a service; use service/host or service/host:port", quote(spn))
	}
}

// plainPort is WinRM's for HTTP (learn.microsoft.com, "Installation and configuration for Windows Remote Management").
const plainPort = "5985"

func (v *validator) address(path, a string, seen map[string]string) {
	if why := checkAddress(a, portOptional); why != "" {
		v.check(path, "%s", why)
		return
	}
	if _, port := splitAddress(a); port == plainPort {
		v.check(path, "%s: %s is WinRM's port for plain HTTP, over which credentials and data would go in clear; use %s, WinRM's for HTTPS", quote(a), plainPort, DefaultPort)
		return
	}
	v.once(path, a, strings.ToLower(WinRMAddress(a)), seen)
}

func (v *validator) once(path, a, key string, seen map[string]string) {
	if first, ok := seen[key]; ok {
		v.check(path, "%s is already the address of %s", quote(a), first)
		return
	}
	seen[key] = path
}

// portRule says whether an address has to name its port.
type portRule int

const (
	portOptional portRule = iota
	portRequired
)

// hostForm is a host name: labels of letters, digits, hyphens and underscores. Windows allows the underscore.
var hostForm = regexp.MustCompile(`^[\p{L}\p{N}_]([\p{L}\p{N}_-]*[\p{L}\p{N}_])?(\.[\p{L}\p{N}_]([\p{L}\p{N}_-]*[\p{L}\p{N}_])?)*\.?$`)

// checkAddress returns what is wrong with an address, or nothing.
func checkAddress(a string, rule portRule) string {
	form := "host:port"
	if rule == portOptional {
		form = "host or host:port"
	}
	if a == "" {
		return "is missing; use " + form
	}
	host, port := splitAddress(a)
	switch {
	case strings.Contains(a, "/") || !hostForm.MatchString(host) && !isIP(host):
		return quote(a) + " is not an address; use " + form + ", an IPv6 address with a port in brackets"
	case port == "" && rule == portRequired:
		return quote(a) + " has no port; use " + form
	case port != "" && !isPort(port):
		return quote(a) + " has no valid port; use 1 to 65535"
	}
	return ""
}

func isIP(s string) bool {
	_, err := netip.ParseAddr(s)
	return err == nil
}

func isPort(s string) bool {
	n, err := strconv.ParseUint(s, 10, 16)
	return err == nil && n > 0
}

// splitAddress takes host, host:port, an IPv6 address, or [IPv6]:port apart.
func splitAddress(a string) (host, port string) {
	if isIP(a) {
		return a, ""
	}
	if h, p, err := net.SplitHostPort(a); err == nil && p != "" {
		return h, p
	}
	if h, ok := strings.CutPrefix(a, "["); ok {
		if h, ok = strings.CutSuffix(h, "]"); ok {
			return h, ""
		}
	}
	return a, ""
}

// WinRMAddress completes a node's or a guest's address with WinRM's port where it names none.
func WinRMAddress(a string) string {
	host, port := splitAddress(a)
	if port == "" {
		port = DefaultPort
	}
	return net.JoinHostPort(host, port)
}
