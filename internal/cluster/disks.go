package cluster

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// DiskIO is how often a virtual machine has read and written, by each of its virtual disks, as its host counts it.
type DiskIO struct {
	Host  string               `json:"host"`  // whose counters these are
	Disks map[string]DiskCount `json:"disks"` // by the counter's instance
}

// DiskCount are running totals since the disk was opened. They are 32 bits wide and begin anew at their end.
type DiskCount struct {
	Reads  uint32 `json:"reads"`
	Writes uint32 `json:"writes"`
}

// ErrUncounted says that a virtual machine has a disk whose reads and writes no counter of its host shows, or shows as
// nobody's in particular: what it does is not known.
var ErrUncounted = errors.New("not every disk of the virtual machine can be found among the host's counters")

// The kinds of storage, by ResourceSubType. A virtual hard disk is counted; a physical disk that was given to the virtual
// machine is not, and a DVD or a floppy disk is none that anybody waits for (the constants of OpenStack's os-win,
// vmutils; libvirt asks for them by the same words).
const (
	subTypeHardDisk     = "Microsoft:Hyper-V:Virtual Hard Disk"
	subTypePhysicalDisk = "Microsoft:Hyper-V:Physical Disk Drive"
)

// DiskIO reads the counters of the virtual disks of one virtual machine of this host. A counter does not say whose it is:
// its instance is named by the disk's file, with hyphens for backslashes and at times "--?-" before it (captured, public:
// "C:-ClusterStorage-…-disk.avhdx", "--?-C:-ClusterStorage-…"). Which files are the virtual machine's its settings say
// (Msvm_StorageAllocationSettingData.HostResource). Where one cannot be found, or by a name that means several, it is
// ErrUncounted. Fibre Channel adapters and physical disks are counted nowhere. Counters may take seconds.
func (h *Host) DiskIO(ctx context.Context, vmID string) (DiskIO, error) {
	io := DiskIO{Host: h.name, Disks: map[string]DiskCount{}}
	type disk struct {
		vm    string
		files []string
	}
	type device struct {
		name string
		DiskCount
	}
	var disks []disk
	var physical, channels []string
	var devices []device
	owners := func(class, where string) func(context.Context) ([]string, error) {
		return func(ctx context.Context) ([]string, error) {
			return all(ctx, &h.machine, nsHyperV, "SELECT InstanceID FROM "+class+where, func(f *fields) string {
				vm, _ := instanceID(f.mustText("InstanceID"))
				return vm
			})
		}
	}
	err := together(
		ctx,
		into(&disks, func(ctx context.Context) ([]disk, error) {
			return all(ctx, &h.machine, nsHyperV, "SELECT InstanceID, HostResource FROM Msvm_StorageAllocationSettingData WHERE ResourceSubType = '"+subTypeHardDisk+"'",
				func(f *fields) disk {
					vm, _ := instanceID(f.mustText("InstanceID"))
					return disk{vm, f.texts("HostResource")}
				})
		}),
		into(&physical, owners("Msvm_ResourceAllocationSettingData", " WHERE ResourceSubType = '"+subTypePhysicalDisk+"'")),
		into(&channels, owners("Msvm_SyntheticFcPortSettingData", "")),
		into(&devices, func(ctx context.Context) ([]device, error) {
			return all(ctx, &h.machine, nsWindows, "SELECT Name, ReadCount, WriteCount FROM "+perfRaw+ClassStorage, func(f *fields) device {
				return device{f.mustText("Name"), DiskCount{f.mustUint32("ReadCount"), f.mustUint32("WriteCount")}}
			})
		}),
	)
	if err != nil {
		return DiskIO{}, fmt.Errorf("read the disk counters of virtual machine %s on %s: %w", vmID, h.name, err)
	}
	ours := func(vm string) bool { return strings.EqualFold(vm, guid(vmID)) }
	if slices.ContainsFunc(physical, ours) || slices.ContainsFunc(channels, ours) {
		return DiskIO{}, fmt.Errorf("virtual machine %s on %s has a physical disk or a Fibre Channel adapter: %w", vmID, h.name, ErrUncounted)
	}
	users := map[string]int{} // by instance: how many settings mean it
	for _, d := range disks {
		for _, file := range d.files {
			users[deviceName(file)]++
		}
	}
	for _, d := range disks {
		if !ours(d.vm) {
			continue
		}
		if len(d.files) != 1 {
			return DiskIO{}, fmt.Errorf("a disk of virtual machine %s on %s has %d files: %w", vmID, h.name, len(d.files), ErrUncounted)
		}
		name := deviceName(d.files[0])
		found := slices.DeleteFunc(slices.Clone(devices), func(c device) bool { return deviceName(c.name) != name })
		if len(found) != 1 || users[name] != 1 {
			return DiskIO{}, fmt.Errorf("%s of virtual machine %s on %s: %d counters, meant by %d settings: %w", d.files[0], vmID, h.name, len(found), users[name], ErrUncounted)
		}
		io.Disks[found[0].name] = found[0].DiskCount
	}
	if len(io.Disks) == 0 {
		return DiskIO{}, fmt.Errorf("virtual machine %s on %s has no virtual hard disk: %w", vmID, h.name, ErrUncounted)
	}
	return io, nil
}

// deviceName is a file's path or a counter's instance in the form in which both can be compared.
func deviceName(s string) string {
	return strings.ToLower(strings.TrimPrefix(strings.ReplaceAll(s, `\`, "-"), "--?-"))
}
