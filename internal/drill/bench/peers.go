package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/hypervigil/hypervigil/internal/drill/stage"
)

// served is what a process of peers writes when it is ready: where it listens. Its authority's certificate and the
// password stand beside it.
type served struct {
	Addresses []string `json:"addresses"`
	CA        string   `json:"ca"`
	Password  string   `json:"password"` // a file
}

// The names in a peers' folder.
const (
	servedFile   = "served.json"
	passwordFile = "password"
	username     = "hypervigil"
)

// announce says that the peers are ready: the file is there at once with all that is in it.
func announce(dir string, s served) error {
	b, err := json.Marshal(s)
	if err != nil {
		return err
	}
	temporary := filepath.Join(dir, "served.tmp")
	if err := os.WriteFile(temporary, b, 0o600); err != nil {
		return err
	}
	return os.Rename(temporary, filepath.Join(dir, servedFile))
}

// startPeers runs this program as a process of peers, and waits until they are ready.
func startPeers(ctx context.Context, dir string, args ...string) (*stage.Process, served, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, served{}, err
	}
	p, err := stage.StartProcess(dir, "peers", self, nil, append(args, "--dir="+dir)...)
	if err != nil {
		return nil, served{}, err
	}
	for {
		b, err := os.ReadFile(filepath.Join(dir, servedFile))
		if err == nil {
			var s served
			if err := json.Unmarshal(b, &s); err != nil {
				p.Stop()
				return nil, served{}, err
			}
			return p, s, nil
		}
		select {
		case <-p.Done():
			return nil, served{}, fmt.Errorf("the peers ended: see %s", p.Log)
		case <-ctx.Done():
			p.Stop()
			return nil, served{}, ctx.Err()
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// startExporter runs the exporter as it is shipped, and waits until it answers. It returns its URL.
func startExporter(ctx context.Context, b *bench, dir, config string) (*stage.Process, string, error) {
	address, err := stage.FreeAddress()
	if err != nil {
		return nil, "", err
	}
	p, err := stage.StartProcess(dir, "exporter", b.program("hypervigil-exporter"), nil, "--config.file="+config, "--web.listen-address="+address)
	if err != nil {
		return nil, "", err
	}
	url := "http://" + address
	if err := p.WaitReady(ctx, b.out, url+"/metrics"); err != nil {
		p.Stop()
		return nil, "", err
	}
	return p, url, nil
}
