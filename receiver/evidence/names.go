package evidence

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/hypervigil/hypervigil/internal/config"
)

// Names are what the inventory calls one virtual machine, its guest and its instances. A binding proves that they mean
// one machine, and proves it for these alone: other names need another proof.
type Names struct {
	Group   string            `json:"group"`
	VM      string            `json:"vm"`      // Hyper-V's name
	Guest   string            `json:"guest"`   // address
	Servers map[string]string `json:"servers"` // instance to address
}

// NamesOf reads them from the inventory.
func NamesOf(vm *config.VirtualMachine) Names {
	n := Names{Group: vm.GroupName(), VM: vm.HyperVName(), Guest: vm.Guest.Address, Servers: map[string]string{}}
	for _, s := range vm.SQLServers {
		n.Servers[s.Instance] = s.Address
	}
	return n
}

// Equal reports whether nothing differs.
func (n Names) Equal(m Names) bool {
	return n.Group == m.Group && n.VM == m.VM && n.Guest == m.Guest && maps.Equal(n.Servers, m.Servers)
}

// String lists them for an operator.
func (n Names) String() string {
	parts := []string{fmt.Sprintf("group %q, VM %q, guest %q", n.Group, n.VM, n.Guest)}
	for _, instance := range slices.Sorted(maps.Keys(n.Servers)) {
		parts = append(parts, fmt.Sprintf("%s at %q", instance, n.Servers[instance]))
	}
	return strings.Join(parts, ", ")
}
