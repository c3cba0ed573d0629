package exporter

import (
	"bytes"
	_ "embed"
	"html/template"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/go-kit/log/level"
	"github.com/prometheus/common/version"

	"github.com/hypervigil/hypervigil/internal/config"
)

//go:embed landing.html
var landingHTML string

// landingTemplate is never changed.
var landingTemplate = template.Must(template.New("landing").Parse(landingHTML))

// landing is what the page at / shows.
type landing struct {
	Version  string // empty in a build that was given none
	Loaded   string // when the configuration was read, RFC 3339
	Modules  []landingModule
	Clusters []landingCluster
}

type landingModule struct {
	Name, Prober, Timeout, Collectors, SD string
}

// landingCluster is one cluster with what hangs on it.
type landingCluster struct {
	Name  string
	Links []link
	Nodes []landingRow
	VMs   []landingVM
}

type landingVM struct {
	landingRow
	Group      string
	SQLServers []landingRow
}

// landingRow is one target, with its addresses for the reader and a link for each module that can probe it.
type landingRow struct {
	Name      string
	Addresses []string
	Links     []link
}

type link struct{ Module, Probe, Debug string }

// serveLanding lists the inventory with a link to each probe. Links are relative, so that they work behind a proxy
// that serves the exporter under a prefix.
func (e *Exporter) serveLanding(w http.ResponseWriter, _ *http.Request) {
	g, err := e.acquire()
	if err != nil {
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	defer g.users.Done()
	var out bytes.Buffer
	if err := landingTemplate.Execute(&out, newLanding(g)); err != nil {
		level.Error(e.logger).Log("msg", "landing page not written", "err", err)
		http.Error(w, "the page could not be written", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'")
	_, _ = out.WriteTo(w)
}

func newLanding(g *generation) landing {
	page := landing{Version: version.Version, Loaded: g.loaded.UTC().Format(time.RFC3339)}
	for _, name := range g.modules() {
		m := g.config.Exporter.Modules[name]
		collectors := m.Collectors
		if len(collectors) == 0 {
			collectors = m.Prober.Collectors()
		}
		page.Modules = append(page.Modules, landingModule{
			Name: name, Prober: m.Prober.String(), Timeout: m.Timeout.Round(time.Millisecond).String(),
			Collectors: strings.Join(collectors, ", "), SD: "sd?" + url.Values{"module": {name}}.Encode(),
		})
	}
	for _, cl := range g.config.Clusters {
		c := landingCluster{Name: cl.Name, Links: g.links(config.ProberWSFC, cl.Name)}
		for _, n := range cl.Nodes {
			c.Nodes = append(c.Nodes, landingRow{Name: n.Name, Addresses: n.Addresses, Links: g.links(config.ProberHyperV, cl.Name+"/"+n.Name)})
		}
		for _, vm := range cl.VirtualMachines {
			row := landingVM{Group: vm.GroupName(), landingRow: landingRow{
				Name: vm.Name, Links: slices.Concat(g.links(config.ProberGuest, cl.Name+"/"+vm.Name), g.links(config.ProberApplication, cl.Name+"/"+vm.Name)),
			}}
			if vm.Guest.Address != "" {
				row.Addresses = []string{vm.Guest.Address}
			}
			for _, s := range vm.SQLServers {
				row.SQLServers = append(row.SQLServers, landingRow{
					Name: s.Instance, Addresses: []string{s.Address}, Links: g.links(config.ProberMSSQL, cl.Name+"/"+vm.Name+"/"+s.Instance),
				})
			}
			c.VMs = append(c.VMs, row)
		}
		page.Clusters = append(page.Clusters, c)
	}
	return page
}

// links returns one link for each module that can probe the target.
func (g *generation) links(p config.Prober, target string) []link {
	if g.targets[targetKey{p, target}] == nil {
		return nil
	}
	var links []link
	for _, name := range g.modules() {
		if g.config.Exporter.Modules[name].Prober != p {
			continue
		}
		probe := "probe?" + url.Values{"module": {name}, "target": {target}}.Encode()
		links = append(links, link{Module: name, Probe: probe, Debug: probe + "&debug=true"})
	}
	return links
}
