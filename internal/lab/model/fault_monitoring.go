package model

import (
	"fmt"
	"slices"
	"strings"
)

// The faults of what watches: nothing of SQL Server is ill, only our way to it.
const (
	MonitorPassword    = "monitor-password"
	CertificateExpired = "certificate-expired"
)

func monitoringFaults() []Fault {
	return []Fault{
		{
			Name: MonitorPassword, Of: OfInstance, inject: flag(func(_ *Model, t *target) *bool { return &t.server.Refuses }),
			About: "SQL Server refuses the monitor's password: error 18456",
		},
		{
			Name: CertificateExpired, Of: OfInstance, inject: expireCertificate,
			About: "a certificate has expired: that of SQL Server, or with a component that of the guest's or the host's WinRM",
		},
	}
}

// Certificates lists whose certificate CertificateExpired's Component may mean. The first is meant where a request names
// none.
func Certificates() []string { return []string{"sql", "guest", "host"} }

func expireCertificate(m *Model, t *target) (func(), error) {
	if t.Component == "" {
		t.Component = Certificates()[0]
	}
	var of *bool
	switch i := slices.Index(Certificates(), t.Component); i {
	case 0:
		of = &t.server.Expired
	case 1:
		of = &t.vm.Expired
	case 2:
		of = &m.Node(t.vm.Owner).Expired
	default:
		return nil, fmt.Errorf("component %q has no certificate; use %s", t.Component, strings.Join(Certificates(), ", "))
	}
	return flag(func(*Model, *target) *bool { return of })(m, t)
}
