package exporter

import (
	"net/http"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/hypervigil/hypervigil/exporter/probe/probetest"
)

// TestCertificateExpiry: each target tells when its peer's certificate ends, and nothing before it has seen one. A
// cluster has no certificate of its own; its nodes have.
func TestCertificateExpiry(t *testing.T) {
	t.Parallel()
	const name = "probe_tls_earliest_cert_expiry_timestamp_seconds"
	family := func(w *world, query string) []*dto.MetricFamily {
		t.Helper()
		e, _ := start(t, w)
		answer := get(e, http.MethodGet, "/probe?"+query)
		parser := expfmt.NewTextParser(model.UTF8Validation)
		families, err := parser.TextToMetricFamilies(answer.Body)
		if err != nil || answer.Code != http.StatusOK {
			t.Fatalf("%s: %d, %v", query, answer.Code, err)
		}
		if f := families[name]; f != nil {
			return []*dto.MetricFamily{f}
		}
		return nil
	}
	shown := &world{certificate: time.Unix(1_800_000_000, 0)}
	var all prometheus.Gatherers
	for _, query := range []string{
		"module=mssql_availability&target=hv-cl1/SQL01/MSSQLSERVER", "module=hyperv&target=hv-cl1/HV1", "module=guest&target=hv-cl1/SQL01",
		"module=wsfc&target=hv-cl1",
	} {
		found := family(shown, query)
		all = append(all, prometheus.GathererFunc(func() ([]*dto.MetricFamily, error) { return found, nil }))
		if none := family(&world{}, query); none != nil {
			t.Errorf("%s: told before a handshake: %v", query, none)
		}
	}
	probetest.GoldenGatherer(t, "certificates", all)
}
