package experiment

import (
	"fmt"
	"slices"

	"github.com/hypervigil/hypervigil/internal/drill"
	"github.com/hypervigil/hypervigil/internal/drill/stage"
	"github.com/hypervigil/hypervigil/internal/lab/model"
)

// given lists the parameters that were put in. A figure that one of them sets a part of agrees with nothing.
func given(p model.Profile, eras []string) []drill.Given {
	source := "the lab's own: as short as the protocols allow"
	if p.Name == model.Paper().Name {
		source = "the white paper: quick migration 45 s, of which 30 s are taken for the restart of the guest"
	}
	down := []string{drill.RecoveryFigure, drill.DownFigure, drill.TCPFigure, drill.StartFigure, "SQL Server answers", "recovery seen", "held and closed"}
	list := []drill.Given{
		{Profile: p.Name, Name: "start of a service", Value: p.ServiceStart.String(), Source: source, Sets: down},
		{Profile: p.Name, Name: "stop of a service", Value: p.ServiceStop.String(), Source: source, Sets: append([]string{drill.StopFigure}, down...)},
		{Profile: p.Name, Name: "boot of a guest", Value: p.Boot.String(), Source: source, Sets: down},
		{Profile: p.Name, Name: "failover by the cluster, quick migration", Value: p.Failover.String(), Source: source, Sets: append([]string{drill.MoveFigure}, down...)},
		{Profile: p.Name, Name: "boot of a host, and its dump", Value: fmt.Sprintf("%s, %s", p.NodeBoot, p.Dump), Source: source, Sets: down},
	}
	for _, name := range eras {
		e, err := model.EraNamed(name)
		if err != nil {
			continue // whoever named it was told
		}
		in := model.Default(p).In(e)
		list = append(list, drill.Given{
			Name: "heartbeat, resiliency period", Profile: p.Name, Era: name,
			Value:  fmt.Sprintf("%s × %d, %s", in.Profile.HeartbeatDelay, in.Profile.HeartbeatThreshold, in.Profile.Resiliency),
			Source: "learn.microsoft.com, SameSubnetDelay, SameSubnetThreshold, ResiliencyDefaultPeriod; the quick profile shortens them",
			Sets:   append([]string{drill.MoveFigure}, down...),
		})
		for _, what := range in.Era.Given() {
			list = append(list, drill.Given{Name: "of the era", Profile: p.Name, Era: name, Value: what, Source: "docs/uplink.md, and internal/lab/model's eras, each with its page", Sets: down})
		}
	}
	return list
}

// ofVirtualTime are the parameters of simulate's Prometheus and Alertmanager.
func ofVirtualTime() drill.Given {
	return drill.Given{
		Name: "scrape, evaluation, notification", Clock: drill.VirtualClock, Value: "1 s, 1 s, 20 to 300 ms; 7 s for classes that show themselves by silence",
		Source: "internal/drill/simulate, from the rules of speed fast",
		Sets:   []string{drill.DetectionFigure, drill.CommandFigure, drill.StagesFigure},
	}
}

// ofLadder are what a ladder waits for by itself: that of the white paper's remedy, and the receiver of 2010.
func ofLadder(name string) []drill.Given {
	sets := []string{drill.CommandFigure, drill.RecoveryFigure, drill.DownFigure, drill.StartFigure, "proven, planned, sent"}
	switch name {
	case drill.WhitePaperPolicy:
		return []drill.Given{{
			Name: "orderly end of a guest that lives, before anything ends it (G32)", Ladder: name, Value: "30m0s",
			Source: "docs/guards.md; the white paper's monitoring had no such guard: the receiver of 2010 plays it, in 2010.html", Sets: sets,
		}}
	case named2010:
		return []drill.Given{{
			Name: "poll, and the wait after the first bad answer", Ladder: name, Value: fmt.Sprintf("%s, %s", poll2010, detect2010),
			Source: "the white paper: a poll every 60 s, and 66 s from the fault to its detection, of which a poll takes 30 on average", Sets: sets,
		}}
	}
	return nil
}

// ofStage are the defaults that a stage of real programs overrides.
func ofStage(s *stage.Stage) ([]drill.Given, error) {
	overrides, err := s.Overrides()
	if err != nil {
		return nil, err
	}
	var list []drill.Given
	for _, o := range overrides {
		sets := []string{"held and closed"}
		if slices.Contains([]string{"receiver.policies.standard.health_check_timeout"}, o.Name) {
			sets = []string{drill.CommandFigure, drill.DownFigure, drill.RecoveryFigure}
		}
		list = append(list, drill.Given{Name: o.Name, Clock: drill.RealClock, Value: fmt.Sprintf("%s, default %s", o.Value, o.Default), Source: "overridden for the lab, which alone accepts it", Sets: sets})
	}
	return list, nil
}
