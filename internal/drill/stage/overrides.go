package stage

import (
	"fmt"
	"maps"
	"slices"

	"go.yaml.in/yaml/v3"

	"github.com/hypervigil/hypervigil/internal/config"
	"github.com/hypervigil/hypervigil/rules"
)

// Override is a default that the stage does not use.
type Override struct{ Name, Default, Value string }

// Overrides lists every default that the stage does not use. They are found by comparing the configuration that runs
// with what it would be without a word about it, so none can be forgotten.
func (s *Stage) Overrides() ([]Override, error) { return overrides(s.Config, s.options.Speed) }

func overrides(c *config.Config, at rules.Speed) ([]Override, error) {
	var list []Override
	if at != rules.Standard {
		list = append(list, Override{"speed of Prometheus (hypervigilctl generate --speed)", rules.Standard.String(), at.String()})
	}
	d := config.Default()
	compare := func(at string, def, value any) error {
		was, err := flatten(at, def)
		if err != nil {
			return err
		}
		is, err := flatten(at, value)
		if err != nil {
			return err
		}
		both := maps.Clone(was)
		maps.Copy(both, is)
		for _, name := range slices.Sorted(maps.Keys(both)) {
			if was[name] != is[name] {
				list = append(list, Override{name, was[name], is[name]})
			}
		}
		return nil
	}
	for _, e := range encryptions(c) {
		if e != config.Mandatory {
			list = append(list, Override{"clusters: encrypt of the SQL Servers", config.Mandatory.String(), e.String()})
		}
	}
	if err := compare("receiver.hold_off", d.Receiver.HoldOff, c.Receiver.HoldOff); err != nil {
		return nil, err
	}
	if err := compare("receiver.sample_interval", d.Receiver.SampleInterval, c.Receiver.SampleInterval); err != nil {
		return nil, err
	}
	if err := compare("exporter", d.Exporter, c.Exporter); err != nil {
		return nil, err
	}
	for _, name := range slices.Sorted(maps.Keys(c.Receiver.Policies)) {
		if err := compare("receiver.policies."+name, config.DefaultPolicy(), c.Receiver.Policies[name]); err != nil {
			return nil, err
		}
	}
	return list, nil
}

// encryptions lists the modes in use.
func encryptions(c *config.Config) []config.Encryption {
	var list []config.Encryption
	for _, cl := range c.Clusters {
		for _, vm := range cl.VirtualMachines {
			for _, q := range vm.SQLServers {
				if !slices.Contains(list, q.Encrypt) {
					list = append(list, q.Encrypt)
				}
			}
		}
	}
	return list
}

// flatten writes a value as its fields' paths in YAML and what stands there.
func flatten(at string, v any) (map[string]string, error) {
	b, err := yaml.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("compare %s: %w", at, err)
	}
	var tree any
	if err := yaml.Unmarshal(b, &tree); err != nil {
		return nil, fmt.Errorf("compare %s: %w", at, err)
	}
	flat := map[string]string{}
	var walk func(string, any)
	walk = func(at string, v any) {
		if m, ok := v.(map[string]any); ok {
			for k, v := range m {
				walk(at+"."+k, v)
			}
			return
		}
		flat[at] = fmt.Sprint(v)
	}
	walk(at, tree)
	return flat, nil
}
