# The guide's way back: from civil affairs' MariaDB to the police's PostgreSQL, with types that only MariaDB has, and the
# receiving node killed while batches arrive. Functions and variables are those of the guide.
forth=($agreement $resource)
mariadb --default-character-set=utf8mb4 $CIVIL_CLIENT <<'END'
SET time_zone = '+00:00';
CREATE TABLE relief (
  relief_no BIGINT UNSIGNED PRIMARY KEY,
  full_name VARCHAR(100) NOT NULL COMMENT '姓名',
  amount DECIMAL(12,2) COMMENT '救助金额',
  paid_on DATE,
  paid_at DATETIME(6),
  state ENUM('在享', '停发') COMMENT '状态',
  active TINYINT(1),
  score DOUBLE,
  picture LONGBLOB,
  changed_at TIMESTAMP(6) NOT NULL COMMENT '更新时间'
) COMMENT = '社会救助' CHARACTER SET utf8mb4;
INSERT INTO relief
SELECT 18446744073709550000 + seq, CONCAT('王', seq, IF(seq % 7 = 0, '𠮷 ', '')), IF(seq % 9 = 0, NULL, seq * 0.07),
  DATE '1970-01-01' + INTERVAL seq DAY, TIMESTAMP '2026-02-03 04:05:06.000007' + INTERVAL seq MICROSECOND,
  IF(seq % 2, '在享', '停发'), seq % 3 = 0, IF(seq % 5 = 0, NULL, seq / 3), IF(seq % 4, UNHEX('00ff10'), NULL),
  TIMESTAMP '2026-05-06 07:08:09.123456' + INTERVAL seq SECOND
FROM seq_1_to_1500;
INSERT INTO relief SELECT relief_no - 1500, '', amount, NULL, paid_at, NULL, NULL, score, '', changed_at FROM relief;
END
datong node add-source --home "$WORK/civil" minzheng "$CIVIL_DATABASE"
datong node add-source --home "$WORK/police" received "$POLICE_DATABASE" --writable
datong node inventory --home "$WORK/civil" --source minzheng
back=$(call civil GET "resources?department=$CIVIL_CODE" |
  jq -er '.rows[] | select(.content.binding.table == "relief") | .id')
call civil GET "resources/$back" | jq '{expected_version: .version, content: (.content
  | .title = {zh: "社会救助", en: "Relief"} | .summary = {zh: "救助", en: "Relief"} | .classification = "101001"
  | .binding.cursor_column = "changed_at" | .share_type = "1" | .share_modes = ["bulk"] | .open = false
  | .use_condition = "依法履职" | .data_category = "personal"
  | .assessment = {secrecy: "不涉及国家秘密", personal_information: "风险可控", conclusion: "passed",
    assessed_by: "保密办", assessed_on: "2026-11-02"}
  | .items |= map(.share_type = "1" | .share_modes = ["bulk"] | .open = false))}' >"$WORK/back.json"
call civil PUT "resources/$back" "@$WORK/back.json" >/dev/null
call civil_head POST "resources/$back/actions" '{"action": "sign_off", "position": "副局长"}' >/dev/null
call civil POST "resources/$back/actions" '{"action": "submit"}' >/dev/null
call authority POST "resources/$back/actions" '{"action": "approve"}' >/dev/null
call authority POST "resources/$back/actions" '{"action": "publish"}' >/dev/null
jq --arg resource "$back" --argjson items "$(jq '[.content.items[].column]' "$WORK/back.json")" \
  '.lines = [{resource_id: $resource, $items}]' "$WORK/demand.json" >"$WORK/demand-back.json"
# Items that are shared unconditionally are granted at once.
agreement=$(call police POST requests "@$WORK/demand-back.json" | jq -er '.requests[0].agreement_id')
resource=$back
call police POST "agreements/$agreement/confirm" >/dev/null
call civil POST "agreements/$agreement/confirm" >/dev/null
until [ "$(call civil GET "agreements/$agreement" | jq -r .state)" = active ]; do sleep 0.2; done
back_task=$(call civil POST tasks "$(task_draft snapshot jiuzhu | jq --arg node "$(node_of "$POLICE_CODE")" \
  '.consumer_node = $node | .batch_rows = 200')" | jq -er .id)
run "$back_task"
until call civil GET "tasks/$back_task" | jq -e '.progress.receipted_batches >= 2' >/dev/null; do sleep 0.1; done
kill -9 "$police_pid"
call civil GET "tasks/$back_task" | jq -e '.progress.run_done == 0 or .progress.receipted_batches < .progress.batches'
start_police
finished "$back_task" 1
reconciled "$back_task"
agreement=${forth[0]} resource=${forth[1]}
