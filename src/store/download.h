// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/result.h"
#include "store/cache.h"
#include "store/hub.h"
#include "store/pull_report.h"

namespace deepwell {

/// Completes a file's size and hash from the headers of its address when the listing lacks them.
/// Errors: kIo, those of hub_error, kCorrupt when the hub does not tell the hash at all.
Status complete_file_facts(const HubAccess& hub, const HubListing& listing, HubFile& file,
                           PullReport& report);

/// Brings one file's content into the cache as blobs/HASH, unless it is there: resumes HASH.incomplete, tries
/// again after failures, and gives the content its name only when size and hash are right. One process at a
/// time fetches a blob; others wait. report.now.done grows by file.size.
Status fetch_blob(const HubAccess& hub, const HubListing& listing, const HubFile& file, const CacheRepo& repo,
                  PullReport& report);

}  // namespace deepwell
