package main

import (
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"

	formats "github.com/transparency-dev/formats/note"
	"github.com/transparency-dev/formats/witness"
	"golang.org/x/mod/sumdb/note"
)

type keysRequest struct {
	Name string `json:"name"`
}

type keysAnswer struct {
	Key       string `json:"key"`        // Ed25519, of type 0x01
	VKey      string `json:"vkey"`       // the same key of type 0x04
	MLDSAKey  string `json:"ml_dsa_key"` // ML-DSA-44, of type 0x06
	MLDSAVKey string `json:"ml_dsa_vkey"`
}

// keys makes a cosigner's key of each kind.
func keys(request keysRequest) (answer keysAnswer, err error) {
	var vkey string
	if answer.Key, vkey, err = note.GenerateKey(nil, request.Name); err != nil {
		return answer, err
	}
	if answer.VKey, err = formats.VKeyToCosignatureV1(vkey); err != nil {
		return answer, err
	}
	answer.MLDSAKey, answer.MLDSAVKey, err = formats.GenerateMLDSAKey(request.Name)
	return answer, err
}

type cosignRequest struct {
	Keys []string `json:"keys"`
	Text string   `json:"text"`
}

type cosignAnswer struct {
	Note []byte `json:"note"`
}

// cosign signs a checkpoint with cosigners' keys, at the time that it is.
func cosign(request cosignRequest) (answer cosignAnswer, err error) {
	signers := make([]note.Signer, len(request.Keys))
	for i, key := range request.Keys {
		if signers[i], err = formats.NewSignerForCosignatureV1(key); err != nil {
			return answer, fmt.Errorf("key %d: %w", i, err)
		}
	}
	answer.Note, err = note.Sign(&note.Note{Text: request.Text}, signers...)
	return answer, err
}

type openRequest struct {
	VKeys []string `json:"vkeys"` // of any type
	Notes [][]byte `json:"notes"`
}

type openAnswer struct {
	Notes []openedNote `json:"notes"`
}

type openedNote struct {
	Verified   []verifiedLine `json:"verified"`
	Unverified int            `json:"unverified"`
}

type verifiedLine struct {
	Name      string `json:"name"`
	ID        string `json:"id"`
	Timestamp int64  `json:"timestamp"` // of cosignatures
}

// open verifies notes, as golang.org/x/mod does with the verifiers of transparency-dev/formats.
func open(request openRequest) (answer openAnswer, err error) {
	verifiers := make([]note.Verifier, len(request.VKeys))
	for i, vkey := range request.VKeys {
		if verifiers[i], err = formats.NewVerifier(vkey); err != nil {
			return answer, fmt.Errorf("vkey %d: %w", i, err)
		}
	}
	for i, signed := range request.Notes {
		opened, err := note.Open(signed, note.VerifierList(verifiers...))
		if err != nil {
			return answer, fmt.Errorf("note %d: %w", i, err)
		}
		lines := openedNote{Verified: []verifiedLine{}, Unverified: len(opened.UnverifiedSigs)}
		for _, sig := range opened.Sigs {
			line := verifiedLine{Name: sig.Name, ID: fmt.Sprintf("%08x", sig.Hash)}
			if raw, err := base64.StdEncoding.DecodeString(sig.Base64); err == nil && len(raw) > 4+64 {
				at, err := formats.CoSigV1Timestamp(sig)
				if err != nil {
					return answer, fmt.Errorf("note %d: %w", i, err)
				}
				line.Timestamp = at.Unix()
			}
			lines.Verified = append(lines.Verified, line)
		}
		answer.Notes = append(answer.Notes, lines)
	}
	return answer, nil
}

type subtree struct {
	Timestamp uint64 `json:"timestamp"`
	Origin    string `json:"origin"`
	Start     uint64 `json:"start"`
	End       uint64 `json:"end"`
	Root      string `json:"root"` // hex
	Signature []byte `json:"signature"`
}

type subtreesRequest struct {
	Key      string    `json:"key"` // signer key, to sign those without a signature
	VKey     string    `json:"vkey"`
	Subtrees []subtree `json:"subtrees"`
}

type subtreesAnswer struct {
	Signatures [][]byte `json:"signatures"`
}

// subtrees signs the subtrees that have no signature, and verifies the others.
func subtrees(request subtreesRequest) (answer subtreesAnswer, err error) {
	signer, err := formats.NewMLDSASigner(request.Key)
	if err != nil {
		return answer, err
	}
	verifier, err := formats.NewMLDSAVerifier(request.VKey)
	if err != nil {
		return answer, err
	}
	for i, tree := range request.Subtrees {
		root, err := hex.DecodeString(tree.Root)
		if err != nil {
			return answer, err
		}
		signature := tree.Signature
		if len(signature) == 0 {
			signature, err = signer.SignSubtree(tree.Timestamp, tree.Origin, tree.Start, tree.End, root)
		} else if !verifier.VerifySubtree(tree.Timestamp, tree.Origin, tree.Start, tree.End, root, signature) {
			err = errors.New("the signature does not verify")
		}
		if err != nil {
			return answer, fmt.Errorf("subtree %d: %w", i, err)
		}
		answer.Signatures = append(answer.Signatures, signature)
	}
	return answer, nil
}

type policyRequest struct {
	Policy string   `json:"policy"`
	Notes  [][]byte `json:"notes"`
}

type policyAnswer struct {
	Satisfied []bool `json:"satisfied"`
}

// policy says of each note whether the policy's quorum cosigned it.
func policy(request policyRequest) (answer policyAnswer, err error) {
	group, err := witness.ParsePolicy([]byte(request.Policy))
	if err != nil {
		return answer, err
	}
	for _, signed := range request.Notes {
		answer.Satisfied = append(answer.Satisfied, group.Satisfied(signed))
	}
	return answer, nil
}
