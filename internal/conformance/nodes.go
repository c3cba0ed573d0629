package conformance

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/hypervigil/hypervigil/internal/cluster"
	"github.com/hypervigil/hypervigil/internal/wsman"
)

// The namespaces that are asked raw.
const (
	nsCluster = "root/MSCluster"
	nsHyperV  = "root/virtualization/v2"
	nsWindows = "root/cimv2"
)

// maxEvidence bounds the rows that are shown of one answer: a cluster may have thousands.
const maxEvidence = 12

// rows asks a query and writes some properties of each row as they came, "NULL" where they did not. Texts are shown only
// where a property is named with a "+": names of a site are told to the mask by whoever asks for them.
func rows(ctx context.Context, c *wsman.Client, namespace, wql string, properties ...string) ([]*wsman.Object, []string, error) {
	objects, err := c.All(ctx, namespace, wql)
	if err != nil {
		return nil, nil, err
	}
	var evidence []string
	for i, o := range objects {
		if i == maxEvidence {
			evidence = append(evidence, fmt.Sprintf("… and %d more", len(objects)-i))
			break
		}
		var parts []string
		for _, p := range properties {
			parts = append(parts, p+"="+raw(o, p))
		}
		evidence = append(evidence, strings.Join(parts, " "))
	}
	return objects, evidence, nil
}

// raw is a property as it came.
func raw(o *wsman.Object, property string) string {
	values, err := o.Texts(property)
	switch {
	case err != nil:
		return "<object>"
	case len(values) == 0:
		return "NULL"
	}
	return strings.Join(values, ",")
}

// cannot is the finding of a question that failed; a permission that is missing is nobody's difference.
func cannot(err error) Finding {
	evidence := []string{"reason=" + string(cluster.Reason(err))}
	if fault := faultOf(err); fault != nil {
		evidence = append(evidence, fmt.Sprintf("fault code=%d (0x%08X) provider=%v cim=%d subcode=%s", fault.Code, fault.Code, fault.ProviderCodes, fault.CIMStatus, fault.Subcode))
	}
	return fails(evidence, "%v", err)
}

func faultOf(err error) *wsman.Fault {
	var e *wsman.Error
	if errors.As(err, &e) {
		return e.Fault
	}
	return nil
}

func nodeAssertions() []Assertion {
	return []Assertion{
		{
			Name: "identify", Relies: "Identify answers with the product's vendor and version, and needs no right but a valid account.",
			Source: "[CAP] reference captures of WinRM; MS-WSMV, Identify",
			Node: func(ctx context.Context, _ *Site, n *node) Finding {
				id, err := n.host.Identify(ctx)
				if err != nil {
					return cannot(err)
				}
				evidence := []string{fmt.Sprintf("ProductVendor=%q ProductVersion=%q", id.ProductVendor, id.ProductVersion)}
				if id.ProductVendor == "" {
					return fails(evidence, "there is no vendor")
				}
				return holds(evidence, "it answers")
			},
		},
		{
			Name: "minus_one", Relies: "A property that means -1 arrives as -1 or as 4294967295, and both are taken for it.",
			Source: "UNVERIFIED how it travels: declared uint32 and int32 in COM (microsoft/wmi, resourcegroup.go)",
			Node:   minusOne,
		},
		{
			Name: "states_known", Relies: "States of nodes, groups and resources are numbers that clusapi.h names.",
			Source: "clusapi.h, CLUSTER_NODE_STATE, CLUSTER_GROUP_STATE, CLUSTER_RESOURCE_STATE",
			Node:   statesKnown,
		},
		{
			Name: "group_of_vm", Relies: "A virtual machine's group has GroupType 111, and its resource's VmID is Hyper-V's name of the machine on its owner.",
			Source: "microsoft/wmi, resourcegroup/virtualmachine.go and resource/constant.go",
			Node:   groupOfVM,
		},
		{
			Name: "summaries", Relies: "Msvm_SummaryInformation can be selected directly, and its rows belong to machines of Msvm_ComputerSystem.",
			Source: "UNVERIFIED whether checkpoints appear too; Icinga selects it directly, GetSummaryInformation is the documented way",
			Node:   summaries,
		},
		{
			Name: "unknown_class", Relies: "A class that does not exist is a fault that says so, and none of its time-outs.",
			Source: "[CAP] 2150858778 (0x8033801A); windows_exporter #388",
			Node: func(ctx context.Context, _ *Site, n *node) Finding {
				_, err := n.host.Raw().All(ctx, nsWindows, "SELECT Name FROM Hypervigil_NoSuchClass")
				return refused(err, "the class")
			},
		},
		{
			Name: "unknown_property", Relies: "A property that a class does not have costs the whole answer, as a fault.",
			Source: "observed of WinRM by windows_exporter and txwinrm: names are chosen that 2019 and 23H2 have in common",
			Node: func(ctx context.Context, _ *Site, n *node) Finding {
				_, err := n.host.Raw().All(ctx, nsWindows, "SELECT Hypervigil_NoSuchProperty FROM Win32_OperatingSystem")
				return refused(err, "the property")
			},
		},
		{
			Name: "clock", Relies: "The host's clock and ours differ by less than a minute: events and alerts are compared by time.",
			Source: "G6; Windows' own Kerberos limit is five minutes",
			Node: func(ctx context.Context, s *Site, n *node) Finding {
				os, err := n.host.OperatingSystem(ctx)
				if err != nil {
					return cannot(err)
				}
				s.mask.Alias(os.ComputerName, n.name)
				return clock(os)
			},
		},
		{
			Name: "perf_volume_state", Relies: "Nothing yet: which numbers Win32_PerfRawData_CsvFsPerfProvider_ClusterCSVFS.VolumeState uses.",
			Source: "UNVERIFIED: MS-CMRP, CLUSTER_SHARED_VOLUME_STATE, 0 to 4",
			Node: func(ctx context.Context, _ *Site, n *node) Finding {
				_, evidence, err := rows(ctx, n.host.Raw(), nsWindows, "SELECT VolumeState FROM Win32_PerfRawData_CsvFsPerfProvider_ClusterCSVFS", "VolumeState")
				if err != nil {
					return unseen("the class cannot be read: %v", err)
				}
				return holds(evidence, "%d volumes", len(evidence))
			},
		},
		{
			Name: "quorum_type", Relies: "QuorumTypeValue is -1 to 4; the number of a cloud witness is not known to us.",
			Source: "windows_exporter's help; UNVERIFIED for a cloud witness",
			Node: func(ctx context.Context, s *Site, n *node) Finding {
				objects, evidence, err := rows(ctx, n.host.Raw(), nsCluster, "SELECT QuorumTypeValue, Fqdn, Name FROM MSCluster_Cluster", "QuorumTypeValue")
				if err != nil {
					return cannot(err)
				}
				for _, o := range objects {
					for _, p := range []string{"Name", "Fqdn"} {
						s.mask.Alias(raw(o, p), n.cluster)
					}
					if v, ok, err := o.Int32("QuorumTypeValue"); err != nil || !ok || v < -1 || v > 4 {
						return fails(evidence, "a number that we do not know: tell us which witness this cluster has")
					}
				}
				return holds(evidence, "a number that we know")
			},
		},
	}
}

// refused is the finding of a question that must be refused by a fault.
func refused(err error, what string) Finding {
	fault := faultOf(err)
	switch {
	case err == nil:
		return fails(nil, "%s that does not exist was answered", what)
	case fault == nil:
		return fails([]string{"reason=" + string(cluster.Reason(err))}, "no fault: %v", err)
	}
	f := cannot(err)
	if reason := cluster.Reason(err); reason == "other" || strings.HasSuffix(string(reason), "timeout") {
		return fails(f.Evidence, "the fault is not understood")
	}
	return holds(f.Evidence, "a fault says so")
}

// clock compares a machine's clock with ours; a round trip is part of the difference.
func clock(os cluster.OperatingSystem) Finding {
	off := time.Since(os.LocalTime).Round(time.Second)
	evidence := []string{fmt.Sprintf("version=%s build=%s behind_us=%s", os.Version, os.Build, off), "up=" + os.LocalTime.Sub(os.LastBoot).Round(time.Hour).String()}
	switch {
	case os.LocalTime.IsZero() || os.LastBoot.IsZero() || os.LastBoot.After(os.LocalTime):
		return fails(evidence, "LocalDateTime or LastBootUpTime is not a time that can be")
	case off.Abs() > time.Minute:
		return fails(evidence, "the clocks differ by %s", off.Abs())
	}
	return holds(evidence, "the clocks differ by less than a minute")
}

// minusOne looks at properties whose usual value is -1, or all bits set.
func minusOne(ctx context.Context, s *Site, n *node) Finding {
	objects, evidence, err := rows(ctx, n.host.Raw(), nsCluster,
		"SELECT Name, State, DefaultOwner, FailoverThreshold FROM MSCluster_ResourceGroup", "State", "DefaultOwner", "FailoverThreshold")
	if err != nil {
		return cannot(err)
	}
	seen := map[string]int{}
	for _, o := range objects {
		s.mask.Name("group", raw(o, "Name"))
		for _, p := range []string{"State", "DefaultOwner", "FailoverThreshold"} {
			switch v := raw(o, p); v {
			case "-1", "4294967295":
				seen[v]++
				if u, ok, err := o.Uint32(p); err != nil || !ok || u != 0xFFFFFFFF {
					return fails(evidence, "%s is not taken for -1 as uint32: %d, %v", v, u, err)
				}
				if i, ok, err := o.Int32(p); err != nil || !ok || i != -1 {
					return fails(evidence, "%s is not taken for -1 as int32: %d, %v", v, i, err)
				}
			default:
				if _, _, err := o.Uint32(p); err != nil {
					return fails(evidence, "%v", err)
				}
			}
		}
	}
	if len(seen) == 0 {
		return Finding{Unseen, "no group has a -1", evidence}
	}
	return holds(evidence, "-1 came %d times, 4294967295 %d times", seen["-1"], seen["4294967295"])
}

func statesKnown(ctx context.Context, s *Site, n *node) Finding {
	v, err := n.host.View(ctx)
	if err != nil {
		return cannot(err)
	}
	var strange, evidence []string
	count := map[string]int{}
	note := func(kind string, state int64, known ...int64) {
		key := fmt.Sprintf("%s state=%d", kind, state)
		if count[key]++; !slices.Contains(known, state) {
			strange = append(strange, key)
		}
	}
	for _, x := range v.Nodes {
		s.mask.Name("node", x.Name)
		note("node", int64(x.State), -1, 0, 1, 2, 3)
	}
	for _, x := range v.Groups {
		s.mask.Name("group", x.Name)
		note("group", int64(x.State), -1, 0, 1, 2, 3, 4)
	}
	for _, x := range v.Resources {
		s.mask.Name("resource", x.Name)
		note("resource", int64(x.State), -1, 0, 1, 2, 3, 4, 128, 129, 130)
	}
	for key, times := range count {
		evidence = append(evidence, fmt.Sprintf("%s: %d", key, times))
	}
	slices.Sort(evidence)
	if len(strange) > 0 {
		return fails(evidence, "unknown: %s", strings.Join(strange, ", "))
	}
	return holds(evidence, "%d nodes, %d groups, %d resources", len(v.Nodes), len(v.Groups), len(v.Resources))
}

// groupOfVM looks at the inventory's machines that this node owns.
func groupOfVM(ctx context.Context, s *Site, n *node) Finding {
	v, err := n.host.View(ctx)
	if err != nil {
		return cannot(err)
	}
	vms, err := n.host.VirtualMachines(ctx)
	if err != nil {
		return cannot(err)
	}
	var evidence []string
	for _, vm := range vms {
		s.mask.Name("vm", vm.Name)
	}
	for _, g := range v.Groups {
		if g.Owner != n.name || g.Type != cluster.GroupTypeVM || g.State != cluster.GroupOnline {
			continue
		}
		for _, r := range v.Resources {
			if r.Group != g.Name || r.VMID == "" {
				continue
			}
			there := slices.ContainsFunc(vms, func(vm cluster.VirtualMachine) bool { return cluster.SameMachineID(vm.ID, r.VMID) })
			evidence = append(evidence, fmt.Sprintf("GroupType=%d VmID found on the owner: %t", g.Type, there))
			if !there {
				return fails(evidence, "the machine of the group %s is not on its owner by that id", g.Name)
			}
		}
	}
	if len(evidence) == 0 {
		return unseen("this node owns no group of a virtual machine that is online")
	}
	return holds(evidence[:min(len(evidence), maxEvidence)], "%d machines are where their groups are", len(evidence))
}

func summaries(ctx context.Context, _ *Site, n *node) Finding {
	systems, err := n.host.Raw().All(ctx, nsHyperV, "SELECT Name FROM Msvm_ComputerSystem")
	if err != nil {
		return cannot(err)
	}
	infos, evidence, err := rows(ctx, n.host.Raw(), nsHyperV, "SELECT Name, Heartbeat, EnabledState FROM Msvm_SummaryInformation", "Heartbeat", "EnabledState")
	if err != nil {
		return cannot(err)
	}
	known := map[string]bool{}
	for _, o := range systems {
		known[strings.ToUpper(raw(o, "Name"))] = true
	}
	seen := map[string]bool{}
	others, twice := 0, 0
	for _, o := range infos {
		name := strings.ToUpper(raw(o, "Name"))
		if !known[name] {
			others++
		}
		if seen[name] {
			twice++
		}
		seen[name] = true
	}
	evidence = append(evidence, fmt.Sprintf("systems (the host among them)=%d summaries=%d of no system=%d twice=%d", len(systems), len(infos), others, twice))
	if twice > 0 {
		return fails(evidence, "%d machines have more than one summary", twice)
	}
	// A summary of no system is left out by the join; it is only good to know.
	return holds(evidence, "one summary for each machine, and %d of something else", others)
}
