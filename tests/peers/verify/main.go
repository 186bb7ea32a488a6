// Command verify checks what a tlog server made, with other projects' libraries, and makes what tlog is to check.
//
// It takes one verb, reads one JSON object from stdin and writes one to stdout. Anything wrong ends it with exit code 1
// and one line on stderr. Byte strings in JSON are standard base64.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"

	"github.com/transparency-dev/formats/log"
	"github.com/transparency-dev/formats/proof"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

var verbs = map[string]func() (any, error){
	"inclusion":   with(checkInclusion),
	"consistency": with(checkConsistency),
	"prove":       with(prove),
	"sign":        with(sign),
	"keys":        with(keys),
	"cosign":      with(cosign),
	"open":        with(open),
	"subtrees":    with(subtrees),
	"policy":      with(policy),
}

func main() {
	if len(os.Args) != 2 || verbs[os.Args[1]] == nil {
		fail(errors.New("usage: verify inclusion|consistency|prove|sign|keys|cosign|open|subtrees|policy <JSON"))
	}
	answer, err := verbs[os.Args[1]]()
	if err == nil {
		err = json.NewEncoder(os.Stdout).Encode(answer)
	}
	if err != nil {
		fail(err)
	}
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, "verify:", err)
	os.Exit(1)
}

// with reads the request of a verb from stdin.
func with[Request, Answer any](verb func(Request) (Answer, error)) func() (any, error) {
	return func() (any, error) {
		var request Request
		decoder := json.NewDecoder(os.Stdin)
		decoder.DisallowUnknownFields()
		if err := decoder.Decode(&request); err != nil {
			return nil, fmt.Errorf("reading the request: %w", err)
		}
		return verb(request)
	}
}

type inclusionRequest struct {
	VKey  string `json:"vkey"`
	Items []struct {
		Entry []byte `json:"entry"`
		Proof []byte `json:"proof"` // a tlog-proof
	} `json:"items"`
}

type inclusionAnswer struct {
	Indexes []uint64 `json:"indexes"`
	Sizes   []int64  `json:"sizes"`
}

// checkInclusion verifies each entry's tlog-proof: its checkpoint by the vkey, and the path to the root of that.
func checkInclusion(request inclusionRequest) (answer inclusionAnswer, err error) {
	for i, item := range request.Items {
		var p proof.TLogProof
		if err := p.Unmarshal(item.Proof); err != nil {
			return answer, fmt.Errorf("item %d: %w", i, err)
		}
		tree, err := openCheckpoint(p.Checkpoint, request.VKey)
		if err != nil {
			return answer, fmt.Errorf("item %d: %w", i, err)
		}
		path := make(tlog.RecordProof, len(p.Hashes))
		for j, hash := range p.Hashes {
			path[j] = hash
		}
		if err := tlog.CheckRecord(path, tree.N, tree.Hash, int64(p.Index), tlog.RecordHash(item.Entry)); err != nil {
			return answer, fmt.Errorf("item %d: %w", i, err)
		}
		answer.Indexes = append(answer.Indexes, p.Index)
		answer.Sizes = append(answer.Sizes, tree.N)
	}
	return answer, nil
}

type consistencyRequest struct {
	VKey  string `json:"vkey"`
	Items []struct {
		Old   []byte   `json:"old"` // checkpoints
		New   []byte   `json:"new"`
		Proof [][]byte `json:"proof"`
	} `json:"items"`
}

type consistencyAnswer struct {
	Sizes [][2]int64 `json:"sizes"`
}

// checkConsistency verifies that each older checkpoint's tree is the beginning of the newer one's.
func checkConsistency(request consistencyRequest) (answer consistencyAnswer, err error) {
	for i, item := range request.Items {
		older, err := openCheckpoint(item.Old, request.VKey)
		if err != nil {
			return answer, fmt.Errorf("item %d, old: %w", i, err)
		}
		newer, err := openCheckpoint(item.New, request.VKey)
		if err != nil {
			return answer, fmt.Errorf("item %d, new: %w", i, err)
		}
		path := make(tlog.TreeProof, len(item.Proof))
		for j, hash := range item.Proof {
			if len(hash) != tlog.HashSize {
				return answer, fmt.Errorf("item %d: hash %d has %d bytes", i, j, len(hash))
			}
			path[j] = tlog.Hash(hash)
		}
		if err := tlog.CheckTree(path, newer.N, newer.Hash, older.N, older.Hash); err != nil {
			return answer, fmt.Errorf("item %d: %w", i, err)
		}
		answer.Sizes = append(answer.Sizes, [2]int64{older.N, newer.N})
	}
	return answer, nil
}

type signRequest struct {
	Name string `json:"name"`
	Text string `json:"text"`
}

type signAnswer struct {
	Key  string `json:"key"`
	VKey string `json:"vkey"`
	Note []byte `json:"note"`
}

// sign makes a key and signs a text with it.
func sign(request signRequest) (answer signAnswer, err error) {
	if answer.Key, answer.VKey, err = note.GenerateKey(nil, request.Name); err != nil {
		return answer, err
	}
	signer, err := note.NewSigner(answer.Key)
	if err != nil {
		return answer, err
	}
	answer.Note, err = note.Sign(&note.Note{Text: request.Text}, signer)
	return answer, err
}

// openCheckpoint verifies a checkpoint whose origin is the name of its key.
func openCheckpoint(signed []byte, vkey string) (tree tlog.Tree, err error) {
	verifier, err := note.NewVerifier(vkey)
	if err != nil {
		return tree, err
	}
	checkpoint, rest, _, err := log.ParseCheckpoint(signed, verifier.Name(), verifier)
	if err != nil {
		return tree, err
	}
	if len(rest) != 0 {
		return tree, fmt.Errorf("checkpoint with extension lines: %q", rest)
	}
	if len(checkpoint.Hash) != tlog.HashSize {
		return tree, fmt.Errorf("root hash of %d bytes", len(checkpoint.Hash))
	}
	return tlog.Tree{N: int64(checkpoint.Size), Hash: tlog.Hash(checkpoint.Hash)}, nil
}
