package main

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/transparency-dev/formats/proof"
	"golang.org/x/mod/sumdb/tlog"
)

const (
	tileHeight  = 8
	maxResource = 1 << 20 // bytes; a tile has 8 KiB
)

type proveRequest struct {
	URL     string  `json:"url"` // of the log
	Token   string  `json:"token"`
	VKey    string  `json:"vkey"`
	Indexes []int64 `json:"indexes"`
	Sizes   []int64 `json:"sizes"`
}

type proveAnswer struct {
	Inclusion   [][]byte   `json:"inclusion"`   // for each index, a tlog-proof at the served checkpoint
	Consistency [][][]byte `json:"consistency"` // for each size, the proof from it to that checkpoint
}

// prove makes proofs from a log's checkpoint and tiles alone. TileHashReader ties each tile to the root.
func prove(request proveRequest) (answer proveAnswer, err error) {
	source := &tiles{url: request.URL, token: request.Token, client: &http.Client{Timeout: 20 * time.Second}}
	checkpoint, err := source.get("checkpoint")
	if err != nil {
		return answer, err
	}
	tree, err := openCheckpoint(checkpoint, request.VKey)
	if err != nil {
		return answer, err
	}
	hashes := tlog.TileHashReader(tree, source)
	for _, index := range request.Indexes {
		path, err := tlog.ProveRecord(tree.N, index, hashes)
		if err != nil {
			return answer, fmt.Errorf("index %d: %w", index, err)
		}
		p := proof.TLogProof{Index: uint64(index), Checkpoint: checkpoint}
		for _, hash := range path {
			p.Hashes = append(p.Hashes, hash)
		}
		answer.Inclusion = append(answer.Inclusion, p.Marshal())
	}
	for _, size := range request.Sizes {
		path, err := tlog.ProveTree(tree.N, size, hashes)
		if err != nil {
			return answer, fmt.Errorf("size %d: %w", size, err)
		}
		list := [][]byte{}
		for _, hash := range path {
			list = append(list, hash[:])
		}
		answer.Consistency = append(answer.Consistency, list)
	}
	return answer, nil
}

// tiles reads a log's tiles over HTTP.
type tiles struct {
	url, token string
	client     *http.Client
}

func (t *tiles) Height() int { return tileHeight }

func (t *tiles) SaveTiles([]tlog.Tile, [][]byte) {}

func (t *tiles) ReadTiles(wanted []tlog.Tile) ([][]byte, error) {
	var all [][]byte
	for _, tile := range wanted {
		// The checksum database writes the height into its paths, tlog-tiles does not.
		path := strings.Replace(tile.Path(), fmt.Sprintf("tile/%d/", tileHeight), "tile/", 1)
		data, err := t.get(path)
		if err != nil {
			return nil, err
		}
		if len(data) != tile.W*tlog.HashSize {
			return nil, fmt.Errorf("%s: expected %d hashes, got %d bytes", path, tile.W, len(data))
		}
		all = append(all, data)
	}
	return all, nil
}

func (t *tiles) get(path string) ([]byte, error) {
	request, err := http.NewRequest(http.MethodGet, t.url+"/"+path, nil)
	if err != nil {
		return nil, err
	}
	if t.token != "" {
		request.Header.Set("Authorization", "Bearer "+t.token)
	}
	response, err := t.client.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s: %s", path, response.Status)
	}
	return io.ReadAll(io.LimitReader(response.Body, maxResource))
}
