package preview

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// askTimeout bounds one question; answerLimit one answer, in bytes.
const (
	askTimeout  = 30 * time.Second
	answerLimit = 64 << 20
)

// asker asks a Prometheus (prometheus.io, "HTTP API").
type asker struct{ base string }

// series is one of an answer; times are seconds since 1970.
type series struct {
	labels map[string]string
	points []point
}

type point struct{ at, value float64 }

// UnmarshalJSON reads [1700000000.1, "42"].
func (p *point) UnmarshalJSON(b []byte) error {
	var value string
	pair := []any{&p.at, &value}
	if err := json.Unmarshal(b, &pair); err != nil {
		return err
	}
	var err error
	p.value, err = strconv.ParseFloat(value, 64)
	return err
}

func (a asker) get(ctx context.Context, path string, q url.Values, into any) error {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, a.base+path+"?"+q.Encode(), nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(io.LimitReader(resp.Body, answerLimit))
	if err != nil {
		return err
	}
	var said struct {
		Status string          `json:"status"`
		Error  string          `json:"error"`
		Data   json.RawMessage `json:"data"`
	}
	if err := json.Unmarshal(b, &said); err != nil {
		return fmt.Errorf("prometheus answered %s, and not in JSON", resp.Status)
	}
	if said.Status != "success" {
		return fmt.Errorf("prometheus refuses %s: %s", q.Get("query"), said.Error)
	}
	return json.Unmarshal(said.Data, into)
}

// values are those that a label of a series has in a time, sorted.
func (a asker) values(ctx context.Context, of, label string, from, to time.Time) ([]string, error) {
	var list []string
	q := url.Values{"match[]": {of}, "start": {stamp(from)}, "end": {stamp(to)}}
	err := a.get(ctx, "/api/v1/label/"+url.PathEscape(label)+"/values", q, &list)
	return list, err
}

func (a asker) vector(ctx context.Context, expr string, at time.Time) ([]series, error) {
	return a.query(ctx, "/api/v1/query", url.Values{"query": {expr}, "time": {stamp(at)}})
}

func (a asker) matrix(ctx context.Context, expr string, from, to time.Time, step time.Duration) ([]series, error) {
	return a.query(ctx, "/api/v1/query_range", url.Values{
		"query": {expr}, "start": {stamp(from)}, "end": {stamp(to)}, "step": {strconv.FormatFloat(step.Seconds(), 'f', 3, 64)},
	})
}

func (a asker) query(ctx context.Context, path string, q url.Values) ([]series, error) {
	var data struct {
		Type   string          `json:"resultType"`
		Result json.RawMessage `json:"result"`
	}
	if err := a.get(ctx, path, q, &data); err != nil {
		return nil, err
	}
	if data.Type == "scalar" {
		var p point
		if err := json.Unmarshal(data.Result, &p); err != nil {
			return nil, err
		}
		return []series{{points: []point{p}}}, nil
	}
	var result []struct {
		Metric map[string]string `json:"metric"`
		Value  *point            `json:"value"`
		Values []point           `json:"values"`
	}
	if err := json.Unmarshal(data.Result, &result); err != nil {
		return nil, err
	}
	var list []series
	for _, r := range result {
		s := series{labels: r.Metric, points: r.Values}
		if r.Value != nil {
			s.points = []point{*r.Value}
		}
		list = append(list, s)
	}
	return list, nil
}

func stamp(t time.Time) string { return strconv.FormatFloat(float64(t.UnixMilli())/1000, 'f', 3, 64) }
