// Package dashboards holds Grafana's dashboards. They are described in Go, one file each, so that what they have in
// common stands in one place; the JSON made from it is in the tree, because that is what Grafana imports and what a
// reader sees, and a test keeps it current:
//
//	go test ./dashboards -update
//
// The tests keep them honest: what they ask for exists and parses, every panel says what it shows, Grafana's linter
// would find nothing, and nothing in them belongs to one Grafana alone. That Grafana draws them is not tested;
// internal/preview draws a likeness from the same JSON.
package dashboards

import (
	"embed"
	"encoding/json"
	"fmt"
	"io/fs"
	"strings"
)

//go:embed *.json
var files embed.FS

// uidPrefix begins every dashboard's uid; the rest is its file's name.
const uidPrefix = "hypervigil-"

// all lists the dashboards in the order in which they lead to each other.
func all() []Dashboard {
	list := []Dashboard{overview(), machine(), sqlServer(), hyperV(), failoverCluster(), incidents(), chain()}
	for i := range list {
		list[i].Links = links(list, list[i].UID)
	}
	return list
}

// Generate returns the dashboards as Grafana imports them, by the name of the file.
func Generate() (map[string][]byte, error) {
	made := map[string][]byte{}
	for _, d := range all() {
		b, err := json.MarshalIndent(d, "", "  ")
		if err != nil {
			return nil, fmt.Errorf("write dashboard %s: %w", d.UID, err)
		}
		made[strings.TrimPrefix(d.UID, uidPrefix)+".json"] = append(b, '\n')
	}
	return made, nil
}

// Load reads the dashboards that the program was built with, by the names of their files, without the ending.
func Load() (map[string]Dashboard, error) { return Read(files) }

// Read reads every dashboard of a folder.
func Read(folder fs.FS) (map[string]Dashboard, error) {
	names, err := fs.Glob(folder, "*.json")
	if err != nil {
		return nil, err
	}
	read := map[string]Dashboard{}
	for _, name := range names {
		b, err := fs.ReadFile(folder, name)
		if err != nil {
			return nil, err
		}
		var d Dashboard
		if err := json.Unmarshal(b, &d); err != nil {
			return nil, fmt.Errorf("read dashboard %s: %w", name, err)
		}
		read[strings.TrimSuffix(name, ".json")] = d
	}
	return read, nil
}

// links lead from one dashboard to each other one, with the cluster and the time.
func links(list []Dashboard, from string) []Link {
	var to []Link
	for _, d := range list {
		if d.UID == from {
			continue
		}
		to = append(to, Link{
			Title: strings.TrimPrefix(d.Title, titlePrefix), Type: "link", Icon: "dashboard", KeepTime: true, Tags: []string{},
			URL: "/d/" + d.UID + "?${datasource:queryparam}&${cluster:queryparam}",
		})
	}
	return to
}
