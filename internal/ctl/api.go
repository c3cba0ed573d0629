package ctl

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"time"

	promconfig "github.com/prometheus/common/config"
)

// maxAnswer bounds what is read of one answer.
const maxAnswer = 64 << 20

// api asks one receiver.
type api struct {
	base   *url.URL
	client *http.Client
	header http.Header // sent with every question
}

func newAPI(address string, settings promconfig.HTTPClientConfig) (*api, error) {
	base, err := url.Parse(address)
	if err != nil || base.Scheme != "http" && base.Scheme != "https" || base.Host == "" {
		// The address itself may hold a password.
		return nil, errors.New("--receiver.url is no address; use http://host:port or https://host:port")
	}
	client, err := promconfig.NewClientFromConfig(settings, program)
	if err != nil {
		return nil, fmt.Errorf("use --http.config.file: %w", err)
	}
	client.Timeout = requestTimeout
	return &api{base: base, client: client, header: http.Header{}}, nil
}

// ask sends one request and returns the body of a good answer.
func (a *api) ask(ctx context.Context, method string, body any, path ...string) ([]byte, error) {
	var in io.Reader
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			return nil, err
		}
		in = bytes.NewReader(b)
	}
	for i, p := range path {
		path[i] = url.PathEscape(p)
	}
	r, err := http.NewRequestWithContext(ctx, method, a.base.JoinPath(append([]string{"api", "v1"}, path...)...).String(), in)
	if err != nil {
		return nil, err
	}
	maps.Copy(r.Header, a.header)
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	resp, err := a.client.Do(r)
	if err != nil {
		return nil, fmt.Errorf("ask the receiver: %w", err)
	}
	defer resp.Body.Close()
	out, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return nil, fmt.Errorf("read the receiver's answer: %w", err)
	}
	if resp.StatusCode/100 != 2 {
		return nil, fmt.Errorf("the receiver answered %s: %s", resp.Status, complaint(out))
	}
	return out, nil
}

// complaint is what the receiver says was wrong.
func complaint(body []byte) string {
	var said struct {
		Error string `json:"error"`
	}
	if json.Unmarshal(body, &said) == nil && said.Error != "" {
		return said.Error
	}
	const most = 200
	s := strings.Join(strings.Fields(string(body)), " ")
	if len(s) > most {
		s = s[:most] + "…"
	}
	return or(s, "it did not say why")
}

// get asks for something and decodes it; raw is the answer as it came.
func (a *api) get(ctx context.Context, into any, path ...string) (raw []byte, err error) {
	raw, err = a.ask(ctx, http.MethodGet, nil, path...)
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(raw, into); err != nil {
		return nil, fmt.Errorf("read the receiver's answer; is %s its web listener?: %w", a.base.Redacted(), err)
	}
	return raw, nil
}

// list writes the incidents, newest first as the receiver sends them.
func (a *api) list(ctx context.Context, w io.Writer, asJSON bool) error {
	var answer struct {
		Incidents []incident `json:"incidents"`
	}
	raw, err := a.get(ctx, &answer, "incidents")
	if err != nil {
		return err
	}
	if asJSON {
		_, err := w.Write(raw)
		return err
	}
	return writeIncidents(w, answer.Incidents)
}

// show writes one incident.
func (a *api) show(ctx context.Context, w io.Writer, id string, asJSON bool, write func(io.Writer, incident) error) error {
	var i incident
	raw, err := a.get(ctx, &i, "incidents", id)
	if err != nil {
		return err
	}
	if asJSON {
		_, err := w.Write(raw)
		return err
	}
	return write(w, i)
}

// pause is one pause, as the receiver lists it.
type pause struct {
	ID      string    `json:"id"`
	Cluster string    `json:"cluster"`
	VM      string    `json:"vm"`
	Rung    string    `json:"rung"`
	Owner   string    `json:"owner"`
	Reason  string    `json:"reason"`
	Expires time.Time `json:"expires"`
}

// newPause is what the receiver takes.
type newPause struct {
	Cluster   string `json:"cluster,omitempty"`
	VM        string `json:"vm,omitempty"`
	Rung      string `json:"rung,omitempty"`
	Owner     string `json:"owner"`
	Reason    string `json:"reason"`
	ExpiresIn string `json:"expires_in"`
}

// scope says what a pause stops.
func (p pause) scope() string {
	s := "everything"
	switch {
	case p.VM != "":
		s = p.Cluster + "/" + p.VM
	case p.Cluster != "":
		s = p.Cluster
	}
	if p.Rung != "" {
		s += ", " + p.Rung
	}
	return s
}

func (a *api) pauses(ctx context.Context, w io.Writer, asJSON bool) error {
	var answer struct {
		Pauses []pause `json:"pauses"`
	}
	raw, err := a.get(ctx, &answer, "pauses")
	if err != nil {
		return err
	}
	if asJSON {
		_, err := w.Write(raw)
		return err
	}
	if len(answer.Pauses) == 0 {
		_, err := fmt.Fprintln(w, "nothing is paused")
		return err
	}
	rows := [][]string{{"PAUSE", "STOPS", "OWNER", "UNTIL", "REASON"}}
	for _, p := range answer.Pauses {
		rows = append(rows, []string{p.ID, p.scope(), p.Owner, moment(p.Expires), p.Reason})
	}
	return table(w, rows)
}

func (a *api) pause(ctx context.Context, w io.Writer, n newPause) error {
	raw, err := a.ask(ctx, http.MethodPost, n, "pauses")
	if err != nil {
		return err
	}
	var p pause
	if err := json.Unmarshal(raw, &p); err != nil {
		return fmt.Errorf("read the receiver's answer: %w", err)
	}
	_, err = fmt.Fprintf(w, "paused %s until %s; end it with: %s resume %s\n", p.scope(), moment(p.Expires), program, p.ID)
	return err
}

func (a *api) resume(ctx context.Context, w io.Writer, id string) error {
	if _, err := a.ask(ctx, http.MethodDelete, nil, "pauses", id); err != nil {
		return err
	}
	_, err := fmt.Fprintf(w, "pause %s is over\n", id)
	return err
}

func (a *api) ack(ctx context.Context, w io.Writer, id, by string) error {
	if _, err := a.ask(ctx, http.MethodPost, map[string]string{"by": by}, "incidents", id, "ack"); err != nil {
		return err
	}
	_, err := fmt.Fprintf(w, "incident %s is acknowledged\n", id)
	return err
}

// approvalHeader carries an approver's token (receiver/console).
const approvalHeader = "X-Hypervigil-Approval"

// approve gives an approval; the token is the approver's, empty where a client certificate proves him.
func (a *api) approve(ctx context.Context, w io.Writer, id, plan, token string) error {
	if token != "" {
		a.header.Set(approvalHeader, token)
	}
	raw, err := a.ask(ctx, http.MethodPost, map[string]string{"plan": plan}, "incidents", id, "approve")
	if err != nil {
		return err
	}
	var given struct {
		By      string    `json:"by"`
		Expires time.Time `json:"expires"`
	}
	if err := json.Unmarshal(raw, &given); err != nil {
		return fmt.Errorf("read the receiver's answer: %w", err)
	}
	_, err = fmt.Fprintf(w, "approved by %s until %s; every guard is asked again now: %s incidents %s\n", given.By, moment(given.Expires), program, id)
	return err
}
