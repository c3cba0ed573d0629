package receiver

import (
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"net/http"

	"github.com/hypervigil/hypervigil/receiver/console"
)

// errNoProof is the answer to who may not approve. It does not tell which part of his proof is wrong.
var errNoProof = errors.New("nobody whom receiver.approvers names: send your token in the header " + console.ApprovalHeader +
	" (hypervigilctl approve --token-file), or a client certificate that the web listener verifies")

// approver tells which of receiver.approvers sends a request, by his token or by a client certificate that the web
// listener has verified. The configuration and the tokens are read anew at each request. The webhook's token and the
// web listener's passwords prove nobody.
func (r *Receiver) approver(request *http.Request) (string, error) {
	approvers := r.configuration().Receiver.Approvers
	if len(approvers) == 0 {
		return "", errors.New("nobody may approve: hypervigil.yml has no receiver.approvers")
	}
	shown := sha256.Sum256([]byte(request.Header.Get(console.ApprovalHeader)))
	name, subject := "", verified(request)
	for _, a := range approvers {
		if a.Certificate != "" && a.Certificate == subject {
			name = a.Name
		}
		token, err := a.Token()
		if err != nil || token.IsEmpty() {
			continue // a token that cannot be read lets nobody in
		}
		// Of equal length and without a branch on the way, so that the time it takes tells nothing of a token.
		held := sha256.Sum256([]byte(token.Reveal()))
		if subtle.ConstantTimeCompare(shown[:], held[:]) == 1 {
			name = a.Name
		}
	}
	if name == "" {
		return "", errNoProof
	}
	return name, nil
}

// verified is the common name of the client certificate that the listener has verified; empty where there is none.
func verified(r *http.Request) string {
	if r.TLS == nil || len(r.TLS.VerifiedChains) == 0 || len(r.TLS.VerifiedChains[0]) == 0 {
		return ""
	}
	return r.TLS.VerifiedChains[0][0].Subject.CommonName
}
