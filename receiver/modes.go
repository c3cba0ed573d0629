package receiver

import (
	"maps"
	"slices"
	"strings"

	"github.com/go-kit/log"
	"github.com/go-kit/log/level"

	"github.com/hypervigil/hypervigil/internal/config"
	"github.com/hypervigil/hypervigil/receiver/remedy"
)

// modes tells how far each rung of a virtual machine's ladders may go, in the order of their names, by policy, cluster and
// this release. What guards will say of a case is another matter. Limits weaker than their defaults are not looked at here:
// whether the cluster is the lab is known only later.
func modes(c *config.Config, cl *config.Cluster, vm *config.VirtualMachine) map[config.Mode][]string {
	p := c.Policy(vm)
	rungs := map[string]bool{}
	for _, ladder := range p.Ladders {
		for _, r := range ladder {
			rungs[r] = true
		}
	}
	by := map[config.Mode][]string{}
	for _, r := range slices.Sorted(maps.Keys(rungs)) {
		m := p.ModeOf(r).AtMost(cl.Mode)
		if s, ok := remedy.SpecOf(remedy.Rung(r)); m == config.Act && (!ok || !s.Sent()) {
			m = config.Propose
		}
		by[m] = append(by[m], r)
	}
	return by
}

// tellModes logs for each virtual machine what may be sent, so that the log shows from when on what was in force.
func tellModes(logger log.Logger, c *config.Config) {
	for _, cl := range c.Clusters {
		for _, vm := range cl.VirtualMachines {
			if c.NeverTouch(cl.Name, vm.Name) {
				level.Info(logger).Log("msg", "mode", "cluster", cl.Name, "vm", vm.Name, "policy", vm.Policy, "never_touch", true)
				continue
			}
			keys := []any{"msg", "mode", "cluster", cl.Name, "vm", vm.Name, "policy", vm.Policy}
			by := modes(c, cl, vm)
			for _, m := range slices.Backward(config.Modes()) {
				if len(by[m]) > 0 {
					keys = append(keys, string(m), strings.Join(by[m], ","))
				}
			}
			if weaker := c.Weaker(c.Policy(vm)); len(weaker) > 0 {
				keys = append(keys, "only_on_the_lab", strings.Join(weaker, ", "))
			}
			level.Info(logger).Log(keys...)
		}
	}
}
