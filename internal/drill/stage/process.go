package stage

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// The patience of the stage with its programs.
const (
	readyEvery = 100 * time.Millisecond
	stopGrace  = 5 * time.Second
	sayEvery   = 2 * time.Second // nothing takes longer than this without a word
)

// Process is one program of the stage. It is stopped by its own process, never by its name.
type Process struct {
	Name string
	Log  string // path of what it printed

	cmd  *exec.Cmd
	file *os.File
	done chan struct{}
	err  error

	stopping sync.Once
}

// StartProcess starts a program whose output goes to dir/name.log.
func StartProcess(dir, name, path string, env []string, args ...string) (*Process, error) {
	logPath := filepath.Join(dir, name+".log")
	file, err := os.Create(logPath)
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	cmd := exec.Command(path, args...)
	cmd.Stdout, cmd.Stderr = file, file
	cmd.Env = append(os.Environ(), env...)
	if err := cmd.Start(); err != nil {
		file.Close()
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	p := &Process{Name: name, Log: logPath, cmd: cmd, file: file, done: make(chan struct{})}
	go func() {
		defer close(p.done)
		defer file.Close()
		p.err = cmd.Wait()
	}()
	return p, nil
}

// PID is the program's process id.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Done is closed when the program has ended.
func (p *Process) Done() <-chan struct{} { return p.done }

// Kill ends the program as a power cut would.
func (p *Process) Kill() {
	_ = p.cmd.Process.Kill() // it may have ended already
	<-p.done
}

// Stop asks the program to end, insists after a while, and returns when it has.
func (p *Process) Stop() {
	p.stopping.Do(func() {
		_ = p.cmd.Process.Signal(os.Interrupt)
		select {
		case <-p.done:
		case <-time.After(stopGrace):
			_ = p.cmd.Process.Kill()
			<-p.done
		}
	})
}

// WaitReady returns once url answers 200. It says what it waits for when that takes long, and why it failed with the
// end of the program's log.
func (p *Process) WaitReady(ctx context.Context, out io.Writer, url string) error {
	said := time.Now()
	last := "no answer yet"
	for {
		code, body, err := ask(ctx, url)
		switch {
		case err == nil && code == http.StatusOK:
			return nil
		case err != nil:
			last = err.Error()
		default:
			last = strings.Join(strings.Fields(body), " ")
		}
		if time.Since(said) > sayEvery {
			said = time.Now()
			fmt.Fprintf(out, "  waiting for %s: %.160s\n", p.Name, last)
		}
		select {
		case <-p.done:
			return fmt.Errorf("%s ended while it was started: %w\n%s", p.Name, errors.Join(p.err), p.tail())
		case <-ctx.Done():
			return fmt.Errorf("%s is not ready: %s: %w\n%s", p.Name, last, ctx.Err(), p.tail())
		case <-time.After(readyEvery):
		}
	}
}

// tail is the end of the program's log.
func (p *Process) tail() string {
	b, err := os.ReadFile(p.Log)
	if err != nil {
		return err.Error()
	}
	const most = 2000
	if len(b) > most {
		b = b[len(b)-most:]
		b = b[bytes.IndexByte(b, '\n')+1:]
	}
	return p.Log + ":\n" + string(b)
}

func ask(ctx context.Context, url string) (int, string, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return 0, "", err
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(io.LimitReader(resp.Body, 4096))
	return resp.StatusCode, string(b), err
}

// freeAddresses finds n loopback addresses that nobody listens on. Somebody else could take one before its program
// does; the program then fails to start and says so.
func freeAddresses(n int) ([]string, error) {
	var list []string
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, fmt.Errorf("find a free port: %w", err)
		}
		defer l.Close()
		list = append(list, l.Addr().String())
	}
	return list, nil
}
