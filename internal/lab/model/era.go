package model

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Era is what a failover cluster does by itself at the time of one Windows Server: documented defaults, which nobody
// found out here.
type Era struct {
	Name string
	// HeartbeatThreshold is SameSubnetThreshold; SameSubnetDelay was 1 s all the time.
	HeartbeatThreshold uint32
	Resiliency         time.Duration // ResiliencyDefaultPeriod; 0: there is none
	// Quarantine is how many departures within QuarantineWindow shut a node out for QuarantineFor; 0: none do.
	Quarantine                      int
	QuarantineWindow, QuarantineFor time.Duration
	// ProtectedNetwork is how long the cluster watches a lost network before it moves a virtual machine; 0: it does not.
	ProtectedNetwork time.Duration
	// Balancing is how often the cluster looks for a node that is loaded too much; 0: it does not.
	Balancing time.Duration
	// Drains: a node that is paused, or whose cluster service is stopped, hands its virtual machines over live
	// (Suspend-ClusterNode -Drain and DrainOnShutdown, from Windows Server 2012 on).
	Drains bool
	// Critical is how long a virtual machine that lost its disk waits for it, paused, before it is turned off; 0: it does
	// not wait (Set-VM, AutomaticCriticalErrorActionTimeout, from Windows Server 2016 on).
	Critical time.Duration
}

// The names of the eras.
const (
	Era2008R2 = "2008r2"
	EraToday  = "today"
)

// Eras lists them, the white paper's first.
//
// 2008 R2: 5 heartbeats of 1 s (learn.microsoft.com, Clusters, SameSubnetThreshold, default 5); nothing else was there
// yet. Today's are Windows Server 2016's: 10 heartbeats (windowsitpro.com, "What are the defaults for Windows Server
// 2016 Failover Clusters related to latency?"), ResiliencyDefaultPeriod 240 s (learn.microsoft.com); a node that left
// three times in an hour is quarantined for two ("Virtual Machine Compute Resiliency in Windows Server 2016",
// blogs.msdn.microsoft.com/clustering, 3 June 2015); Protected Network after 120 s (docs/uplink.md); AutoBalancerMode 2,
// on each join and every 30 minutes (learn.microsoft.com, Clusters, AutoBalancerMode).
func Eras() []Era {
	return []Era{
		{Name: Era2008R2, HeartbeatThreshold: 5},
		{
			Name: EraToday, HeartbeatThreshold: 10, Resiliency: 240 * time.Second, Quarantine: 3, QuarantineWindow: time.Hour, QuarantineFor: 2 * time.Hour,
			ProtectedNetwork: protectedNetworkWait, Balancing: 30 * time.Minute, Drains: true, Critical: 30 * time.Minute,
		},
	}
}

// EraNames lists the names of the eras.
func EraNames() []string {
	var names []string
	for _, e := range Eras() {
		names = append(names, e.Name)
	}
	return names
}

// EraNamed finds an era.
func EraNamed(name string) (Era, error) {
	i := slices.IndexFunc(Eras(), func(e Era) bool { return e.Name == name })
	if i < 0 {
		return Era{}, fmt.Errorf("era %q is not known; use %s", name, strings.Join(EraNames(), " or "))
	}
	return Eras()[i], nil
}

// In makes a cluster one of an era. A profile that is shortened shortens what the era waits for in the same proportion,
// and keeps its own heartbeat, which is as short as the cluster allows already. A cluster that no era was chosen for has
// its profile's heartbeat and resiliency period and nothing else.
func (s Spec) In(e Era) Spec {
	p := s.Profile
	if p.Shortened <= 1 {
		p.HeartbeatThreshold = e.HeartbeatThreshold
	}
	p.Resiliency = p.short(e.Resiliency)
	e.QuarantineWindow, e.QuarantineFor = p.short(e.QuarantineWindow), p.short(e.QuarantineFor)
	e.ProtectedNetwork, e.Balancing, e.Critical = p.short(e.ProtectedNetwork), p.short(e.Balancing), p.short(e.Critical)
	s.ProtectedNetwork = e.ProtectedNetwork > 0
	s.Era, s.Profile = e, p
	return s
}

// short is a duration as the profile has it: to the next half second, where the profile is shortened.
func (p Profile) short(d time.Duration) time.Duration {
	if p.Shortened <= 1 {
		return d
	}
	const step = 500 * time.Millisecond
	return (d/time.Duration(p.Shortened) + step - 1) / step * step
}

// Given lists what the era gives, for the reader of a report; empty where no era was chosen.
func (e Era) Given() []string {
	if e.Name == "" {
		return nil
	}
	list := []string{"era " + e.Name}
	add := func(there bool, format string, args ...any) {
		if there {
			list = append(list, fmt.Sprintf(format, args...))
		}
	}
	add(e.Quarantine > 0, "quarantine of a node that left %d times in %s, for %s", e.Quarantine, e.QuarantineWindow, e.QuarantineFor)
	add(e.ProtectedNetwork > 0, "Protected Network after %s", e.ProtectedNetwork)
	add(e.Balancing > 0, "load balancing every %s", e.Balancing)
	add(e.Critical > 0, "a virtual machine without its disk is turned off after %s", e.Critical)
	return list
}
