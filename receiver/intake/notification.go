package intake

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"
	"unicode/utf8"

	"github.com/prometheus/common/model"
)

// version is the one that Alertmanager has sent since 2017; a body of another one, or of none, is not its own.
const version = "4"

// The bounds of what is kept of one notification. Labels are identity: an alert whose labels are larger is dropped,
// never shortened, for a shortened name may be another one's. The rest is for people and is shortened.
const (
	maxAlerts      = 10_000
	maxLabels      = 128
	maxLabelBytes  = 16 << 10 // names and values of one alert
	maxAnnotations = 64
	maxAnnotation  = 4 << 10 // one value
	maxName        = 256     // an annotation's name, a fingerprint
	maxGroupKey    = 8 << 10
	maxText        = 2 << 10 // the receiver's name, URLs
)

// Status is an alert's own state in a notification.
type Status string

// The states.
const (
	Firing   Status = "firing"
	Resolved Status = "resolved"
)

// Notification is one delivery of Alertmanager, as it is written down. Times are UTC.
type Notification struct {
	// Record is the notification's key in the ledger: whoever takes the notification up deletes it in the same
	// batch as what came of it. It is empty for a repeat, which is not in the ledger.
	Record string `json:"-"`
	// Repeat says that the same delivery was accepted before: nothing new, but a reason to look again.
	Repeat bool `json:"-"`

	At          time.Time `json:"at"` // when it was accepted
	DeliveryKey string    `json:"delivery_key"`
	GroupKey    string    `json:"group_key"`
	Receiver    string    `json:"receiver"` // as Alertmanager writes it: with \ before what a regular expression would read
	ExternalURL string    `json:"external_url"`
	// TruncatedAlerts were kept back by Alertmanager for max_alerts. Dropped ones were sent and could not be kept.
	TruncatedAlerts uint64  `json:"truncated_alerts"`
	Dropped         int     `json:"dropped,omitempty"`
	Alerts          []Alert `json:"alerts"`
}

// Alert is one alert of a notification. Its own status counts, not the group's: under max_alerts the group may be
// called resolved while an alert that was kept back fires (captured from Alertmanager 0.31.1).
type Alert struct {
	Status       Status            `json:"status"`
	Labels       map[string]string `json:"labels"`
	Annotations  map[string]string `json:"annotations,omitempty"`
	StartsAt     time.Time         `json:"starts_at"`
	EndsAt       time.Time         `json:"ends_at,omitzero"` // zero while firing
	Fingerprint  string            `json:"fingerprint"`
	GeneratorURL string            `json:"generator_url,omitempty"`
}

// message is the body, as far as it is used; Alertmanager adds members from version to version. Fields:
// https://prometheus.io/docs/alerting/latest/configuration/#webhook_config.
type message struct {
	Version         string    `json:"version"`
	GroupKey        string    `json:"groupKey"`
	TruncatedAlerts uint64    `json:"truncatedAlerts"`
	Receiver        string    `json:"receiver"`
	ExternalURL     string    `json:"externalURL"`
	Alerts          *[]member `json:"alerts"`
}

type member struct {
	Status       Status            `json:"status"`
	Labels       map[string]string `json:"labels"`
	Annotations  map[string]string `json:"annotations"`
	StartsAt     time.Time         `json:"startsAt"`
	EndsAt       time.Time         `json:"endsAt"`
	GeneratorURL string            `json:"generatorURL"`
	Fingerprint  string            `json:"fingerprint"`
}

// dropReason says why an alert of an accepted notification is not kept.
type dropReason string

const (
	dropStatus dropReason = "status" // neither firing nor resolved
	dropSize   dropReason = "size"   // labels or fingerprint over their bounds
	dropTime   dropReason = "time"   // a time outside the years 0 to 9999 in UTC
)

func dropReasons() []dropReason { return []dropReason{dropStatus, dropSize, dropTime} }

// decode reads a body. The error says what is malformed; the body itself is not in it. What it drops, it names.
func decode(body []byte, at time.Time) (Notification, []dropReason, error) {
	var m message
	if err := json.Unmarshal(body, &m); err != nil { // which refuses what follows the object, too
		return Notification{}, nil, describe(err)
	}
	switch {
	case m.Version != version:
		return Notification{}, nil, fmt.Errorf("version is %.20q, only %q is understood", m.Version, version)
	case m.Alerts == nil:
		return Notification{}, nil, errors.New("there are no alerts in it")
	case len(*m.Alerts) > maxAlerts:
		return Notification{}, nil, fmt.Errorf("it holds %d alerts, at most %d are possible", len(*m.Alerts), maxAlerts)
	}
	n := Notification{
		At:       at.UTC(),
		GroupKey: m.GroupKey, Receiver: shorten(m.Receiver, maxText), ExternalURL: shorten(m.ExternalURL, maxText),
		TruncatedAlerts: m.TruncatedAlerts,
		Alerts:          make([]Alert, 0, len(*m.Alerts)),
	}
	var dropped []dropReason
	for _, a := range *m.Alerts {
		if why := a.unfit(); why != "" {
			dropped = append(dropped, why)
			continue
		}
		n.Alerts = append(n.Alerts, a.alert())
	}
	n.Dropped = len(dropped)
	n.DeliveryKey = deliveryKey(n.GroupKey, n.Alerts)
	n.GroupKey = shorten(n.GroupKey, maxGroupKey)
	return n, dropped, nil
}

// describe puts an error of the decoder into words without a piece of the body.
func describe(err error) error {
	if e, ok := errors.AsType[*json.SyntaxError](err); ok {
		return fmt.Errorf("it is no JSON document: error at byte %d", e.Offset)
	}
	if e, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		return fmt.Errorf("member %q at byte %d is not of type %s", shorten(e.Field, maxName), e.Offset, e.Type)
	}
	return errors.New("a time in it is not as RFC 3339 wants it")
}

func (a *member) unfit() dropReason {
	if a.Status != Firing && a.Status != Resolved {
		return dropStatus
	}
	size := 0
	for name, value := range a.Labels {
		size += len(name) + len(value)
	}
	if size > maxLabelBytes || len(a.Labels) > maxLabels || len(a.Fingerprint) > maxName {
		return dropSize
	}
	for _, t := range []time.Time{a.StartsAt, a.EndsAt} {
		if y := t.UTC().Year(); y < 0 || y > 9999 { // such a time cannot be written as JSON
			return dropTime
		}
	}
	return ""
}

func (a *member) alert() Alert {
	kept := Alert{
		Status: a.Status, Labels: a.Labels, Annotations: a.Annotations,
		StartsAt: a.StartsAt.UTC(), EndsAt: a.EndsAt.UTC(), Fingerprint: a.Fingerprint, GeneratorURL: shorten(a.GeneratorURL, maxText),
	}
	if kept.Fingerprint == "" { // Alertmanager sends one; it is made of the labels in this way
		labels := model.LabelSet{}
		for name, value := range a.Labels {
			labels[model.LabelName(name)] = model.LabelValue(value)
		}
		kept.Fingerprint = labels.Fingerprint().String()
	}
	for i, name := range slices.Sorted(maps.Keys(kept.Annotations)) {
		if i >= maxAnnotations || len(name) > maxName {
			delete(kept.Annotations, name)
			continue
		}
		kept.Annotations[name] = shorten(kept.Annotations[name], maxAnnotation)
	}
	return kept
}

// shorten cuts a text to at most limit bytes, the ellipsis it then ends with included.
func shorten(s string, limit int) string {
	const ellipsis = "…"
	if len(s) <= limit {
		return s
	}
	end := limit - len(ellipsis)
	for end > 0 && !utf8.RuneStart(s[end]) {
		end--
	}
	return s[:end] + ellipsis
}

// deliveryKey tells deliveries apart (G5): the group and which alerts are in which state since when, in any order.
func deliveryKey(groupKey string, alerts []Alert) string {
	parts := make([][]byte, 0, len(alerts))
	for _, a := range alerts {
		part := appendString(nil, a.Fingerprint)
		part = appendString(part, string(a.Status))
		parts = append(parts, appendString(part, a.StartsAt.Format(time.RFC3339Nano)))
	}
	slices.SortFunc(parts, bytes.Compare)
	sum := sha256.New()
	sum.Write(appendString(nil, groupKey))
	for _, part := range parts {
		sum.Write(part)
	}
	return hex.EncodeToString(sum.Sum(nil))
}

// appendString appends a string with its length before it, so that two lists of strings never look the same.
func appendString(b []byte, s string) []byte {
	b = binary.AppendUvarint(b, uint64(len(s)))
	return append(b, s...)
}

// groupID is short for a group key.
func groupID(groupKey string) string {
	sum := sha256.Sum256([]byte(groupKey))
	return hex.EncodeToString(sum[:12])
}

// encode is the notification's record: compact, and no longer than it must be.
func (n *Notification) encode() ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(n); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}
