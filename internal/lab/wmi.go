package lab

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/hypervigil/hypervigil/internal/lab/model"
	"github.com/hypervigil/hypervigil/internal/lab/wsmanserver"
)

// The namespaces, as a Provider gets them.
const (
	nsCluster = "root/mscluster"
	nsHyperV  = "root/virtualization/v2"
	nsWindows = "root/cimv2"
)

// table makes the instances of a class from the model.
type table func(*model.Model) []wsmanserver.Instance

// method runs a method of a class on the model.
type method func(*model.Model, wsmanserver.Selectors, wsmanserver.Parameters) (wsmanserver.Output, error)

// provider is the WMI of one machine: its classes by namespace, and what may be called.
type provider struct {
	node    string // of a host; empty: of a guest
	lab     *Lab
	tables  map[string]map[string]table  // namespace, class in lower case
	methods map[string]map[string]method // class in lower case, method in lower case
}

var _ wsmanserver.Provider = (*provider)(nil)

// Instances implements wsmanserver.Provider.
func (p *provider) Instances(ctx context.Context, namespace, class string) ([]wsmanserver.Instance, error) {
	if err := p.serves(ctx, namespace); err != nil {
		return nil, err
	}
	classes, ok := p.tables[namespace]
	if !ok {
		return nil, wsmanserver.ErrUnknownNamespace
	}
	t, ok := classes[strings.ToLower(class)]
	if !ok {
		return nil, wsmanserver.ErrUnknownClass
	}
	var list []wsmanserver.Instance
	p.lab.with(func(m *model.Model) { list = t(m) })
	return list, nil
}

// endpointNotRegistered is what MSCluster's provider answers where no cluster service runs (EPT_S_NOT_REGISTERED, seen by
// Icinga's plugin for Windows clusters).
const endpointNotRegistered = win32 | 1753

// serves waits until the client gives up where a host's WMI is dead: WinRM, which is another process, goes on accepting.
// It returns an error where the namespace's own service does not run.
func (p *provider) serves(ctx context.Context, namespace string) error {
	if p.node == "" {
		return nil
	}
	var deaf, clustering bool
	p.lab.with(func(m *model.Model) { deaf, clustering = m.Node(p.node).Deaf, m.Node(p.node).Clustering })
	switch {
	case deaf:
		<-ctx.Done()
		return ctx.Err()
	case namespace == nsCluster && !clustering:
		return &wsmanserver.ProviderError{HRESULT: endpointNotRegistered, Message: "There are no more endpoints available from the endpoint mapper."}
	}
	return nil
}

// Invoke implements wsmanserver.Provider.
func (p *provider) Invoke(ctx context.Context, namespace, class string, keys wsmanserver.Selectors, name string, params wsmanserver.Parameters) (wsmanserver.Output, error) {
	if err := p.serves(ctx, namespace); err != nil {
		return wsmanserver.Output{}, err
	}
	if _, ok := p.tables[namespace]; !ok {
		return wsmanserver.Output{}, wsmanserver.ErrUnknownNamespace
	}
	run, ok := p.methods[strings.ToLower(class)][strings.ToLower(name)]
	if !ok {
		return wsmanserver.Output{}, wsmanserver.ErrUnknownMethod
	}
	var out wsmanserver.Output
	var err error
	p.lab.with(func(m *model.Model) { out, err = run(m, keys, params) })
	return out, err
}

// instance makes an instance of pairs of names and values, in WMI's alphabetical order.
func instance(class string, keys []string, pairs ...any) wsmanserver.Instance {
	i := wsmanserver.Instance{Class: class, Keys: keys}
	for n := 0; n < len(pairs); n += 2 {
		i.Properties = append(i.Properties, wsmanserver.Property{Name: pairs[n].(string), Value: pairs[n+1]})
	}
	slices.SortFunc(i.Properties, func(a, b wsmanserver.Property) int {
		return strings.Compare(strings.ToLower(a.Name), strings.ToLower(b.Name))
	})
	return i
}

var byName = []string{"Name"}

// reference points to an instance by its name.
func reference(class, name string) wsmanserver.Reference {
	return wsmanserver.Reference{Class: class, Keys: wsmanserver.Selectors{{Name: "Name", Value: name}}}
}

func milliseconds(d time.Duration) uint64 { return uint64(max(0, d.Milliseconds())) }
