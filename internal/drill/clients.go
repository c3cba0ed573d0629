package drill

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/hypervigil/hypervigil/receiver/incident"
)

// callTimeout bounds each question to a part of the chain: one that hangs must not stop the watch.
const callTimeout = 2 * time.Second

// Endpoints are where the parts of the chain answer, as base URLs.
type Endpoints struct {
	LabControl, Exporter, Receiver, Prometheus, Alertmanager string
}

// LabState is the lab's /state.
type LabState struct {
	Now       time.Time     `json:"now"`
	Nodes     []LabNode     `json:"nodes"`
	Groups    []LabGroup    `json:"groups"`
	Instances []LabInstance `json:"instances"`
}

// LabNode is a node in LabState.
type LabNode struct {
	Name  string `json:"name"`
	State string `json:"state"`
}

// LabGroup is a virtual machine's group in LabState.
type LabGroup struct {
	VM    string `json:"vm"`
	Owner string `json:"owner"`
	State string `json:"state"`
}

// LabInstance is an instance of SQL Server in LabState.
type LabInstance struct {
	VM       string    `json:"vm"`
	Instance string    `json:"instance"`
	Up       bool      `json:"up"`
	Since    time.Time `json:"since"`
}

// LabCounters is the lab's /counters: the judge of every trial.
type LabCounters struct {
	VMs map[string]LabCounts `json:"vms"`
}

// LabCounts is what was done to one virtual machine.
type LabCounts struct {
	Commands           []LabCount `json:"commands"`
	MovesCommanded     []LabCount `json:"moves_commanded"`
	FailoversByCluster []LabCount `json:"failovers_by_cluster"`
	RestartsByCluster  []LabCount `json:"restarts_by_cluster"`
	ServiceStarts      []LabCount `json:"service_starts"`
	VMResets           []LabCount `json:"vm_resets"`
}

// LabCount is one thing that was done, when, and to what.
type LabCount struct {
	Method string    `json:"method,omitempty"`
	At     time.Time `json:"at"`
	Detail string    `json:"detail,omitempty"` // the service's name, the process' handle
}

// Fault is a fault to inject, as the lab's control takes it.
type Fault struct {
	Fault    string `json:"fault"`
	VM       string `json:"vm,omitempty"`
	Node     string `json:"node,omitempty"`
	Instance string `json:"instance,omitempty"`
}

// Injected is the lab's answer to a Fault.
type Injected struct {
	ID string    `json:"id"`
	At time.Time `json:"at"`
}

func get(ctx context.Context, u string, into any) error {
	return call(ctx, http.MethodGet, u, nil, into)
}

func call(ctx context.Context, method, u string, body, into any) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	var reader io.Reader
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			return err
		}
		reader = bytes.NewReader(b)
	}
	r, err := http.NewRequestWithContext(ctx, method, u, reader)
	if err != nil {
		return err
	}
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(io.LimitReader(resp.Body, 32<<20))
	if err != nil {
		return err
	}
	if resp.StatusCode/100 != 2 {
		return fmt.Errorf("%s %s: %s: %.300s", method, u, resp.Status, b)
	}
	if into == nil {
		return nil
	}
	if text, ok := into.(*[]byte); ok {
		*text = b
		return nil
	}
	if err := json.Unmarshal(b, into); err != nil {
		return fmt.Errorf("%s %s: %w", method, u, err)
	}
	return nil
}

// Inject asks the lab for a fault.
func (e Endpoints) Inject(ctx context.Context, f Fault) (Injected, error) {
	var in Injected
	err := call(ctx, http.MethodPost, e.LabControl+"/faults", f, &in)
	return in, err
}

// State asks the lab how things are.
func (e Endpoints) State(ctx context.Context) (LabState, error) {
	var s LabState
	err := get(ctx, e.LabControl+"/state", &s)
	return s, err
}

// Counters asks the lab what was done to it.
func (e Endpoints) Counters(ctx context.Context) (LabCounters, error) {
	var c LabCounters
	err := get(ctx, e.LabControl+"/counters", &c)
	return c, err
}

// Incidents lists the receiver's incidents, without their rounds.
func (e Endpoints) Incidents(ctx context.Context) ([]incident.Incident, error) {
	var all struct {
		Incidents []incident.Incident `json:"incidents"`
	}
	err := get(ctx, e.Receiver+"/api/v1/incidents", &all)
	return all.Incidents, err
}

// ReceiverMetrics is the receiver's /metrics as text.
func (e Endpoints) ReceiverMetrics(ctx context.Context) (string, error) {
	var text []byte
	err := get(ctx, e.Receiver+"/metrics", &text)
	return string(text), err
}

// Target is something that Prometheus scrapes.
type Target struct {
	Job    string `json:"scrapePool"`
	Health string `json:"health"` // up, down; unknown before the first scrape
}

// Targets lists what Prometheus scrapes.
func (e Endpoints) Targets(ctx context.Context) ([]Target, error) {
	var answer struct {
		Data struct {
			Active []Target `json:"activeTargets"`
		} `json:"data"`
	}
	err := get(ctx, e.Prometheus+"/api/v1/targets?state=active", &answer)
	return answer.Data.Active, err
}

// PrometheusAlert is an alert that Prometheus evaluates as pending or firing.
type PrometheusAlert struct {
	Labels   map[string]string `json:"labels"`
	State    string            `json:"state"`
	ActiveAt time.Time         `json:"activeAt"`
}

// Alerts lists Prometheus' alerts.
func (e Endpoints) Alerts(ctx context.Context) ([]PrometheusAlert, error) {
	var answer struct {
		Data struct {
			Alerts []PrometheusAlert `json:"alerts"`
		} `json:"data"`
	}
	err := get(ctx, e.Prometheus+"/api/v1/alerts", &answer)
	return answer.Data.Alerts, err
}

// FirstFailedProbe is the time of Prometheus' first sample at or after since in which the probe of an instance
// failed; ok is false while there is none.
func (e Endpoints) FirstFailedProbe(ctx context.Context, vm, instance string, since time.Time) (time.Time, bool, error) {
	selector := fmt.Sprintf(`probe_success{vm=%q,sql_instance!=""}[5m]`, vm)
	if instance != "" && instance != "-" {
		selector = fmt.Sprintf(`probe_success{vm=%q,sql_instance=%q}[5m]`, vm, instance)
	}
	var answer struct {
		Data struct {
			Result []struct {
				Values [][2]any `json:"values"`
			} `json:"result"`
		} `json:"data"`
	}
	if err := get(ctx, e.Prometheus+"/api/v1/query?query="+url.QueryEscape(selector), &answer); err != nil {
		return time.Time{}, false, err
	}
	var first time.Time
	for _, series := range answer.Data.Result {
		for _, v := range series.Values {
			at, okAt := v[0].(float64)
			value, okValue := v[1].(string)
			if !okAt || !okValue {
				continue
			}
			f, err := strconv.ParseFloat(value, 64)
			t := time.UnixMilli(int64(at * 1000))
			if err == nil && f == 0 && !t.Before(since) && (first.IsZero() || t.Before(first)) {
				first = t
			}
		}
	}
	return first, !first.IsZero(), nil
}
