package cluster

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hypervigil/hypervigil/internal/dial"
	"github.com/hypervigil/hypervigil/internal/lab/wsmanserver"
)

func TestDiskIO(t *testing.T) {
	t.Parallel()
	const other = "B0000000-0000-4000-8000-000000000002"
	disk := func(vm, files string, more ...string) wsmanserver.Instance {
		return row("Msvm_StorageAllocationSettingData", "InstanceID", "InstanceID", "Microsoft:"+vm+`\C\0\0\L`+files, "ResourceSubType", subTypeHardDisk, "HostResource", append([]string{files}, more...))
	}
	dvd := row("Msvm_StorageAllocationSettingData", "InstanceID", "InstanceID", "Microsoft:"+vmID1+`\C\0\1\L`, "ResourceSubType", "Microsoft:Hyper-V:Virtual CD/DVD Disk", "HostResource", []string{`C:\tools.iso`})
	counter := func(name string, reads, writes any) wsmanserver.Instance {
		return row(perfRaw+ClassStorage, "Name", "Name", name, "ReadCount", reads, "WriteCount", writes)
	}
	given := func(vm string) wsmanserver.Instance {
		return row("Msvm_ResourceAllocationSettingData", "InstanceID", "InstanceID", "Microsoft:"+vm+`\C\0\2\D`, "ResourceSubType", subTypePhysicalDisk)
	}
	channel := func(vm string) wsmanserver.Instance {
		return row("Msvm_SyntheticFcPortSettingData", "InstanceID", "InstanceID", "Microsoft:"+vm+`\F`)
	}
	const file, log = `C:\ClusterStorage\Volume1\SQL01\SQL01.vhdx`, `C:\ClusterStorage\Volume1\SQL01\log-1.avhdx`
	const one, two = "C:-ClusterStorage-Volume1-SQL01-sql01.VHDX", "--?-C:-ClusterStorage-Volume1-SQL01-log-1.avhdx"
	tests := []struct {
		name                      string
		disks, physical, channels []wsmanserver.Instance
		counters                  []wsmanserver.Instance
		want                      map[string]DiskCount // nil: ErrUncounted
	}{
		{
			"two of ours, and a neighbour's",
			[]wsmanserver.Instance{disk(vmID1, file), dvd, disk(vmID1, log), disk(other, `C:\b.vhdx`)},
			[]wsmanserver.Instance{given(other)},
			[]wsmanserver.Instance{channel(other)},
			[]wsmanserver.Instance{counter(one, uint32(1), uint32(2)), counter(two, uint32(3), uint32(4)), counter("C:-b.vhdx", uint32(5), uint32(6))},
			map[string]DiskCount{one: {1, 2}, two: {3, 4}},
		},
		{"one without a counter", []wsmanserver.Instance{disk(vmID1, file), disk(vmID1, log)}, nil, nil, []wsmanserver.Instance{counter(one, uint32(1), uint32(2))}, nil},
		{"two counters of one name", []wsmanserver.Instance{disk(vmID1, file)}, nil, nil, []wsmanserver.Instance{counter(one, uint32(1), uint32(2)), counter("--?-"+one, uint32(1), uint32(2))}, nil},
		{"a name that means another's disk too", []wsmanserver.Instance{disk(vmID1, `C:\a\b-c.vhdx`), disk(other, `C:\a-b\c.vhdx`)}, nil, nil, []wsmanserver.Instance{counter("C:-a-b-c.vhdx", uint32(1), uint32(2))}, nil},
		{"a disk of two files", []wsmanserver.Instance{disk(vmID1, file, log)}, nil, nil, []wsmanserver.Instance{counter(one, uint32(1), uint32(2))}, nil},
		{"a physical disk", []wsmanserver.Instance{disk(vmID1, file)}, []wsmanserver.Instance{given(vmID1)}, nil, []wsmanserver.Instance{counter(one, uint32(1), uint32(2))}, nil},
		{"a Fibre Channel adapter", []wsmanserver.Instance{disk(vmID1, file)}, nil, []wsmanserver.Instance{channel(vmID1)}, []wsmanserver.Instance{counter(one, uint32(1), uint32(2))}, nil},
		{"no disk", []wsmanserver.Instance{dvd}, nil, nil, nil, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p := newPeer(t)
			p.set(nsHyperV, "Msvm_StorageAllocationSettingData", tt.disks...)
			p.set(nsHyperV, "Msvm_ResourceAllocationSettingData", tt.physical...)
			p.set(nsHyperV, "Msvm_SyntheticFcPortSettingData", tt.channels...)
			p.set(nsWindows, perfRaw+ClassStorage, tt.counters...)
			got, err := p.host(t).DiskIO(t.Context(), "{"+vmID1+"}")
			if tt.want == nil {
				if !errors.Is(err, ErrUncounted) {
					t.Errorf("DiskIO = %+v, %v, want ErrUncounted", got, err)
				}
				return
			}
			if d := cmp.Diff(tt.want, got.Disks); err != nil || d != "" || got.Host == "" {
				t.Errorf("DiskIO of %q, %v (-want +got):\n%s", got.Host, err, d)
			}
		})
	}
}

// TestDiskIOWithoutACount: a counter that is NULL has not stood still.
func TestDiskIOWithoutACount(t *testing.T) {
	t.Parallel()
	p := newPeer(t)
	p.set(nsHyperV, "Msvm_StorageAllocationSettingData", row("Msvm_StorageAllocationSettingData", "InstanceID", "InstanceID", "Microsoft:"+vmID1+`\L`, "ResourceSubType", subTypeHardDisk, "HostResource", []string{`C:\a.vhdx`}))
	p.set(nsHyperV, "Msvm_ResourceAllocationSettingData")
	p.set(nsHyperV, "Msvm_SyntheticFcPortSettingData")
	p.set(nsWindows, perfRaw+ClassStorage, row(perfRaw+ClassStorage, "Name", "Name", "C:-a.vhdx", "ReadCount", nil, "WriteCount", uint32(1)))
	if got, err := p.host(t).DiskIO(t.Context(), vmID1); Reason(err) != dial.Protocol {
		t.Errorf("DiskIO = %+v, %v; want an error", got, err)
	}
}

func TestHeartbeatMonitoring(t *testing.T) {
	t.Parallel()
	resource := func(poll, deadlock, private any) wsmanserver.Instance {
		return row("MSCluster_Resource", "Name", "Name", "Virtual Machine SQL01", "Type", "Virtual Machine", "OwnerGroup", "SQL01", "IsAlivePollInterval", poll, "DeadlockTimeout", deadlock, "PrivateProperties", private)
	}
	private := func(check any) wsmanserver.Instance {
		return row("MSCluster_Property", "", "VmID", vmID1, "CheckHeartbeat", check)
	}
	tests := []struct {
		name     string
		resource wsmanserver.Instance
		want     HeartbeatMonitoring
		ok       bool
	}{
		{"on, as Windows sets it", resource(uint32(0xFFFFFFFF), uint32(300000), private(uint32(1))), HeartbeatMonitoring{true, 360 * time.Second}, true},
		{"off", resource(uint32(0xFFFFFFFF), uint32(300000), private(uint32(0))), HeartbeatMonitoring{false, 360 * time.Second}, true},
		{"asked seldom", resource(uint32(120000), uint32(60000), private(uint32(1))), HeartbeatMonitoring{true, 180 * time.Second}, true},
		{"asked often: nobody promises that", resource(uint32(1), uint32(60000), private(uint32(1))), HeartbeatMonitoring{true, 120 * time.Second}, true},
		{"not told", resource(uint32(60000), uint32(300000), private(nil)), HeartbeatMonitoring{}, false},
		{"no private properties", resource(uint32(60000), uint32(300000), nil), HeartbeatMonitoring{}, false},
		{"no time", resource(uint32(60000), nil, private(uint32(1))), HeartbeatMonitoring{}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p := newPeer(t)
			p.set(nsCluster, "MSCluster_Resource", tt.resource)
			got, err := p.host(t).HeartbeatMonitoring(t.Context(), "SQL01")
			if got != tt.want || (err == nil) != tt.ok {
				t.Errorf("HeartbeatMonitoring = %+v, %v; want %+v, ok %t", got, err, tt.want, tt.ok)
			}
		})
	}
}
