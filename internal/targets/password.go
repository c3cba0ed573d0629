package targets

import (
	"os"
	"sync"
	"time"

	"github.com/hypervigil/hypervigil/internal/config"
)

// settled is how old a file has to be for its times to tell one content from the next: file systems note the time in
// steps, up to two seconds where it is FAT's, and what is written twice within a step looks unchanged.
const settled = 3 * time.Second

// password is a credential's password, read again only where its file is not the one that was read: a login each second
// reads it each second. A changed file counts at once.
type password struct {
	credential *config.Credential

	mu     sync.Mutex
	read   os.FileInfo // of the file that secret is from; nil where it has to be read
	secret config.Secret
}

// get returns the password. It is safe for concurrent use.
func (p *password) get() (config.Secret, error) {
	if p.credential.PasswordFile == "" {
		return p.credential.Password()
	}
	now, err := os.Stat(p.credential.PasswordFile)
	if err != nil {
		return p.credential.Password() // whose error names the credential
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.read != nil && same(p.read, now) {
		return p.secret, nil
	}
	secret, err := p.credential.Password()
	if err != nil {
		p.read = nil
		return config.Secret{}, err
	}
	// The look came before the read: what was written in between shows at the next look.
	p.read, p.secret = nil, secret
	if time.Since(now.ModTime()) > settled {
		p.read = now
	}
	return secret, nil
}

// reveal is get in plain text.
func (p *password) reveal() (string, error) {
	s, err := p.get()
	return s.Reveal(), err
}

// same reports whether two looks at a path saw one file, unchanged.
func same(a, b os.FileInfo) bool {
	return os.SameFile(a, b) && a.Size() == b.Size() && a.ModTime().Equal(b.ModTime())
}
