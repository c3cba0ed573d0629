package drill

import "slices"

// PaperSource is where the white paper's figures come from.
const PaperSource = "Hitachi and Microsoft, 2010, a stopped SQL Server service; tables 3-2 (guest cluster) and 3-4 (monitored host cluster, mean of 3)"

// PaperFigure is a row of the white paper's tables 3-2 and 3-4, in seconds; null where it measured none.
type PaperFigure struct {
	Name             string // of the figure, as in Figures
	Guest, Monitored *float64
	Note             string // what the white paper measured, where its word is another than ours
}

// PaperFigures lists the white paper's figures in its order. They are said here and nowhere else.
func PaperFigures() []PaperFigure {
	s := func(f float64) *float64 { return &f }
	return []PaperFigure{
		{Name: DetectionFigure, Monitored: s(66), Note: "polling every 60 s"},
		{Name: RecoveryFigure, Monitored: s(126)},
		{Name: MoveFigure, Guest: s(60), Monitored: s(45), Note: "failover of the guest cluster; quick migration of the VM"},
		{Name: PingFigure, Guest: s(22), Monitored: s(15)},
		{Name: DownFigure, Guest: s(55), Monitored: s(192), Note: "about 140 to 240, by where the poll falls"},
	}
}

// PaperOf is the white paper's row of a figure; one without numbers where it has none.
func PaperOf(figure string) PaperFigure {
	for _, p := range PaperFigures() {
		if p.Name == figure {
			return p
		}
	}
	return PaperFigure{Name: figure}
}

// Of is what the white paper measured in a configuration; null where it measured nothing.
func (p PaperFigure) Of(configuration string) *float64 {
	switch columnOf(configuration) {
	case guestColumn:
		return p.Guest
	case monitoredColumn:
		return p.Monitored
	case hostColumn, noColumn:
		return nil
	}
	return nil
}

// PaperCell is a cell of the white paper's last table: who fails over without a person.
type PaperCell string

// The cells.
const (
	PaperYes    PaperCell = "o"
	PaperPartly PaperCell = "△"
	PaperNo     PaperCell = "x"
)

// PaperRow is a row of the white paper's last table ("what fails over automatically").
type PaperRow struct {
	Class, Part                          string
	Guest, Host, ByCluster, ByMonitoring PaperCell
	// Faults are the scenarios that play it; where a trial names no scenario, the faults.
	Faults []string
}

// PaperRows lists the rows in the white paper's order. Its host cluster has the VM's heartbeat monitored; its monitored
// one has that switched off and two columns: by the host cluster, by the monitoring.
func PaperRows() []PaperRow {
	const y, p, n = PaperYes, PaperPartly, PaperNo
	return []PaperRow{
		{Class: "hardware", Part: "CPU", Guest: y, Host: y, ByCluster: y, ByMonitoring: y, Faults: []string{"host-cpu"}},
		{Class: "hardware", Part: "internal disk (host OS)", Guest: y, Host: y, ByCluster: y, ByMonitoring: y, Faults: []string{"host-disk"}},
		{Class: "hardware", Part: "memory", Guest: y, Host: y, ByCluster: y, ByMonitoring: y, Faults: []string{"host-memory"}},
		{Class: "hardware", Part: "power supply", Guest: y, Host: y, ByCluster: y, ByMonitoring: y, Faults: []string{"host-power-off"}},
		{Class: "hardware", Part: "RAID board", Guest: y, Host: y, ByCluster: y, ByMonitoring: y, Faults: []string{"host-raid"}},
		{Class: "hardware", Part: "LAN board", Guest: n, Host: n, ByCluster: n, ByMonitoring: n, Faults: []string{"lan-board", "lan-board-moves"}},
		{Class: "hardware", Part: "mother board", Guest: y, Host: y, ByCluster: y, ByMonitoring: y, Faults: []string{"host-mainboard"}},
		{Class: "host software", Part: "host OS", Guest: y, Host: y, ByCluster: y, ByMonitoring: y, Faults: []string{"host-os-crash"}},
		{Class: "host software", Part: "hypervisor", Guest: y, Host: y, ByCluster: y, ByMonitoring: y, Faults: []string{"hypervisor-crash"}},
		{Class: "guest software", Part: "resource shortage", Guest: y, Host: y, ByCluster: n, ByMonitoring: y, Faults: []string{"guest-starved"}},
		{Class: "guest software", Part: "guest OS", Guest: y, Host: p, ByCluster: n, ByMonitoring: y, Faults: []string{"guest-crash"}},
		{Class: "guest software", Part: "application or service", Guest: y, Host: n, ByCluster: n, ByMonitoring: y, Faults: []string{"service-crash", "service-crash-white-paper"}},
	}
}

// Of are the white paper's cells of a configuration: two of the monitored one (by the host cluster, by the
// monitoring), one of the others, none of a configuration that it does not have.
func (r PaperRow) Of(configuration string) []PaperCell {
	switch columnOf(configuration) {
	case guestColumn:
		return []PaperCell{r.Guest}
	case hostColumn:
		return []PaperCell{r.Host}
	case monitoredColumn:
		return []PaperCell{r.ByCluster, r.ByMonitoring}
	case noColumn:
		return nil
	}
	return nil
}

// Plays reports whether a trial played the row's fault.
func (r PaperRow) Plays(t Trial) bool {
	name := t.Fault
	if t.Experiment != nil && t.Scenario != "" {
		name = t.Scenario
	}
	return slices.Contains(r.Faults, name)
}

// column is one of the white paper's three configurations.
type column int

const (
	noColumn column = iota
	guestColumn
	hostColumn
	monitoredColumn
)

// columnOf finds the white paper's configuration by the name of ours. Its host cluster has the VM's heartbeat monitored;
// without that nothing is different but what becomes of a guest.
func columnOf(configuration string) column {
	switch configuration {
	case GuestCluster:
		return guestColumn
	case HostCluster, HostClusterHeartbeat:
		return hostColumn
	case MonitoredHostCluster:
		return monitoredColumn
	}
	return noColumn
}
